/// Why a call failed: the status that ends it, on either side.
///
/// A handler throws it to choose the status its caller sees; any other error a handler throws reaches
/// the caller as `unknown`, without its text.
public struct RPCError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure; never `ok`.
  public var code: StatusCode
  /// For people: what went wrong and what to do about it.
  public var message: String
  /// Trailing metadata.
  public var metadata: Metadata
  /// A serialized `google.rpc.Status` with typed details, or empty.
  public var details: [UInt8]
  /// What led to it on this side; does not travel.
  public var cause: (any Error)?

  /// Makes an error; see the properties.
  public init(
    _ code: StatusCode, _ message: String, metadata: Metadata = Metadata(), details: [UInt8] = [],
    cause: (any Error)? = nil
  ) {
    precondition(code != .ok, "an error's code is never ok")
    self.code = code
    self.message = message
    self.metadata = metadata
    self.details = details
    self.cause = cause
  }

  /// `CODE: message`, and the cause.
  public var description: String {
    let text = "\(code): \(message)"
    guard let cause else { return text }
    return "\(text) (\(cause))"
  }
}
