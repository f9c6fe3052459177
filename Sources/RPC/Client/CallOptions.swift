/// What a caller may ask for beside the request itself.
public struct CallOptions: Sendable {
  /// Sent before the request.
  public var metadata: Metadata
  /// How long the call may take from now; nil: as long as the call it is made inside, or for ever.
  public var timeout: Duration?
  /// The most bytes a received message may have, its body included; nil: the channel's limit.
  public var maxMessageBytes: Int?

  /// No metadata, no deadline of its own.
  public init(
    metadata: Metadata = Metadata(), timeout: Duration? = nil, maxMessageBytes: Int? = nil
  ) {
    self.metadata = metadata
    self.timeout = timeout
    self.maxMessageBytes = maxMessageBytes
  }
}
