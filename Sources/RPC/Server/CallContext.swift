/// What a handler knows of the call that it serves, and what it may say beside its messages.
///
/// While a handler runs, its context is also the task's `CallContext.current`: a call made inside it
/// inherits what is left of the deadline.
public struct CallContext: Sendable {
  /// The context of the call that the current task serves.
  @TaskLocal public static var current: CallContext?

  private let call: Call

  init(_ call: Call) {
    self.call = call
  }

  /// `/package.Service/Method`.
  public var path: String { call.path }

  /// What the caller sent before its first message.
  public var metadata: Metadata { call.requestMetadata }

  /// The other side, for logs.
  public var peer: String { call.connection.peer }

  /// Who the other side has proved to be, such as by its TLS certificate; nil: it hasn't.
  public var peerIdentity: PeerIdentity? { call.connection.bytes.peerIdentity }

  /// When the caller stops waiting; nil: never. The handler's task is cancelled then.
  public var deadline: Instant? { call.deadline }

  /// Whether the call ended at its deadline before its handler had answered: the caller hears no more of it.
  public var hasMissedDeadline: Bool {
    call.connection.enter { _, _ in call.ending?.code == .deadlineExceeded }
  }

  /// Sends metadata before the first response; what was said before is replaced. Without effect once a
  /// response has gone.
  ///
  /// - Throws: `RPCError`, `resourceExhausted` when keys and values take more than 32 KiB together,
  ///   `internal` when one isn't valid.
  public func setResponseMetadata(_ metadata: Metadata) throws(RPCError) {
    try Self.check(metadata)
    call.connection.enter { _, _ in call.headMetadata = metadata }
  }

  /// Sends metadata with the call's end; what was said before is replaced.
  ///
  /// - Throws: `RPCError`, `resourceExhausted` when keys and values take more than 32 KiB together,
  ///   `internal` when one isn't valid.
  public func setTrailingMetadata(_ metadata: Metadata) throws(RPCError) {
    try Self.check(metadata)
    call.connection.enter { _, _ in call.trailingMetadata = metadata }
  }

  /// What handlers send back is often what came from their callers, so that it is no mistake of theirs.
  private static func check(_ metadata: Metadata) throws(RPCError) {
    guard metadata.isValid else {
      throw RPCError(
        .internal,
        "a response's metadata has a key that isn't lower-case, or a value that isn't printable")
    }
    let bytes = metadata.encodedBytes
    guard bytes <= Metadata.maxResponseBytes else {
      throw .beyondLimit(
        "\(bytes) bytes of response metadata are more than \(Metadata.maxResponseBytes)")
    }
  }

  /// What is left of the deadline, zero when it has passed; nil: no deadline.
  public var timeLeft: Duration? {
    guard let deadline = call.deadline else { return nil }
    return max(call.connection.time.now.duration(to: deadline), .zero)
  }
}
