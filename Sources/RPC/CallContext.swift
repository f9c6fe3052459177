/// What a handler knows of the call that it serves, and what it may say beside its messages.
///
/// While a handler runs, its context is also the task's `CallContext.current`: a call made inside it
/// inherits what is left of the deadline.
public struct CallContext: Sendable {
  /// The context of the call that the current task serves.
  @TaskLocal public static var current: CallContext?

  /// `/package.Service/Method`.
  public let path: String
  /// What the caller sent before its first message.
  public let metadata: Metadata
  /// The other side, for logs.
  public let peer: String
  /// When the caller stops waiting; nil: never. The handler's task is cancelled then.
  public let deadline: Instant?

  /// Sends metadata before the first response. Later calls replace what earlier ones said, until the
  /// first response has gone.
  public func setResponseMetadata(_ metadata: Metadata) {
    preconditionFailure("to come")
  }

  /// Sends metadata with the call's end.
  public func setTrailingMetadata(_ metadata: Metadata) {
    preconditionFailure("to come")
  }

  /// What is left of the deadline, zero when it has passed; nil: no deadline.
  public var timeLeft: Duration? {
    preconditionFailure("to come")
  }
}
