public import Schema

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
  /// For programs: messages of any types that say more, such as `Google_Rpc_RetryInfo`. They travel as
  /// far as there is room beside the metadata: see `ErrorDetails.maxBytes`.
  public var details: [Google_Protobuf_Any]
  /// What led to it on this side; does not travel.
  public var cause: (any Error)?
  /// A limit of this side or one that the peer had told it: another attempt would meet it again. Does not
  /// travel.
  var isOfThisSide = false

  /// Makes an error; see the properties.
  public init(
    _ code: StatusCode, _ message: String, metadata: Metadata = Metadata(),
    details: [Google_Protobuf_Any] = [], cause: (any Error)? = nil
  ) {
    precondition(code != .ok, "an error's code is never ok")
    self.code = code
    self.message = message
    self.metadata = metadata
    self.details = details
    self.cause = cause
  }

  /// More than a limit that this side knows allows.
  static func beyondLimit(_ message: String) -> RPCError {
    var error = RPCError(.resourceExhausted, message)
    error.isOfThisSide = true
    return error
  }

  /// Whether the same call, when it is idempotent, may succeed a moment later.
  var isSafeToRetry: Bool { code.isSafeToRetry && !isOfThisSide }

  /// `CODE: message`, and the cause.
  public var description: String {
    let text = "\(code): \(message)"
    guard let cause else { return text }
    return "\(text) (\(cause))"
  }
}

extension RPCError {
  /// The error with one more detail. One that can't be encoded is left out: it must not hide the error
  /// that it explains.
  public func with(_ detail: some Message) -> RPCError {
    var error = self
    if let packed = try? Google_Protobuf_Any(packing: detail) { error.details.append(packed) }
    return error
  }

  /// The details of one type, in order, without those whose bytes aren't such a message.
  public func details<Detail: Message>(of type: Detail.Type) -> [Detail] {
    details.compactMap { try? $0.unpack(as: type) }
  }
}
