/// Why a message could not be encoded or decoded: names the message and the field.
///
/// Whoever sent the bytes (or built the value) is at fault, never the receiver: trying again with the
/// same input fails again.
public struct SchemaError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of fault it is.
  public enum Code: String, Sendable, Hashable, CaseIterable {
    /// The input ends in the middle of a field, or a length says more than there is.
    case truncated
    /// A tag with field number 0 or above 2^29 - 1, with an unknown wire type, too long, or the end of a
    /// group that did not begin.
    case invalidTag
    /// A number of more than ten bytes.
    case invalidVarint
    /// A packed field whose length is no multiple of its elements'.
    case invalidPacked
    /// A string that isn't UTF-8.
    case invalidUTF8
    /// A required field of a proto2 message is absent.
    case missingField
    /// Messages nested deeper than the limit.
    case tooDeep
    /// More bytes than the limit.
    case tooLarge
    /// The message would take more memory than the limit.
    case tooMuchMemory
    /// A body for a message without a body field, or one that doesn't fit the message's end.
    case bodyMismatch
    /// JSON that doesn't fit the message.
    case invalidJSON
  }

  /// What kind of fault it is.
  public var code: Code
  /// The message's full name, such as `holdfast.v1.Manifest`.
  public var message: String
  /// The field's name in the schema; nil when the fault lies in the message as a whole.
  public var field: String?
  /// For people: what is wrong.
  public var text: String

  /// An error of a message, or of one of its fields.
  public init(_ code: Code, message: String, field: String? = nil, text: String) {
    self.code = code
    self.message = message
    self.field = field
    self.text = text
  }

  /// `holdfast.v1.Name.key: not UTF-8 (invalidUTF8)`.
  public var description: String {
    "\(message)\(field.map { ".\($0)" } ?? ""): \(text) (\(code.rawValue))"
  }
}
