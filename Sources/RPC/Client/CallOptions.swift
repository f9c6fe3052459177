/// What a caller may ask for beside the request itself.
public struct CallOptions: Sendable {
  /// Sent before the request.
  public var metadata: Metadata
  /// How long the call may take from now; nil: as long as the call it is made inside, or for ever.
  public var timeout: Duration?
  /// Whether the call waits while the server can't be reached, until its deadline, instead of failing at
  /// once: such as while a server is restarted.
  public var waitsForReady: Bool
  /// How often a unary call of an idempotent method is made; nil: as the channel is configured.
  public var attempts: AttemptPolicy?
  /// The most bytes a received message may have, its body included; nil: the channel's limit.
  public var maxMessageBytes: Int?
  /// Whether the closure that writes and reads a streaming call's messages runs where the connection
  /// lives, as handlers do: no hop between threads a message, and bytes that have just come in are
  /// looked at while they are in that processor's cache. Such a closure must not block or compute for
  /// long, since the connection's other calls wait for it meanwhile.
  public var runsOnConnection: Bool

  /// No metadata, no deadline of its own.
  public init(
    metadata: Metadata = Metadata(), timeout: Duration? = nil, waitsForReady: Bool = false,
    attempts: AttemptPolicy? = nil, maxMessageBytes: Int? = nil, runsOnConnection: Bool = false
  ) {
    self.metadata = metadata
    self.timeout = timeout
    self.waitsForReady = waitsForReady
    self.attempts = attempts
    self.maxMessageBytes = maxMessageBytes
    self.runsOnConnection = runsOnConnection
  }
}
