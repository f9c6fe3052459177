public import CProtobufC

/// A protobuf message as a Swift value: what the generator makes of a message in a schema.
///
/// Its way to the wire leads through the C struct that `protoc-c` makes of the same message: encoding
/// fills the struct in an arena and packs it once into the buffer that is sent; decoding checks the
/// input, unpacks it into an arena and builds the value from the struct.
public protocol Message: Sendable, Hashable, Codable {
  /// The C struct that protoc-c generates for the message.
  associatedtype CStruct

  /// The message's full name in its schema, such as `holdfast.v1.Manifest`.
  static var fullName: String { get }
  /// What protobuf-c knows of the message.
  static var cDescriptor: UnsafePointer<ProtobufCMessageDescriptor> { get }
  /// The number of the field that is the message's body; nil when it has none.
  static var bodyField: UInt32? { get }
  /// The body: bulk bytes that our framing carries after the message, uncopied. Always empty for a
  /// message without a body field.
  var messageBody: Body { get set }

  /// The message with every field at its default.
  init()
}
