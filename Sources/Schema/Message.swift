public import CProtobufC
public import NIOCore

/// A protobuf message as a Swift value: what the generator makes of a message in a schema.
///
/// Its way to the wire leads through the C struct that `protoc-c` makes of the same message: encoding
/// fills the struct in an arena and packs it once into the buffer that is sent; decoding checks the
/// input, fills the struct from it in an arena and builds the value from that. Fields that the schema
/// doesn't know are kept.
public protocol Message: Sendable, Hashable, Codable, JSONMappable {
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
  /// Fields that the schema doesn't know, such as those of a newer one: written again as they came.
  var unknownFields: UnknownFields { get set }

  /// The message with every field at its default.
  init()

  /// Initializes the C struct and sets its fields; what they point to lies in the arena.
  ///
  /// Throws when messages are nested too deep. For generated code.
  func fill(_ c: UnsafeMutablePointer<CStruct>, in arena: borrowing Arena) throws(SchemaError)

  /// Decodes a frame's message part and the body that came with it: see the extension, which does it for
  /// every generated message.
  init(decoding bytes: ByteBuffer, body: Body, limits: DecodingLimits) throws(SchemaError)

  /// Appends the encoded message without its body's bytes, and returns the body: see the extension.
  @discardableResult
  func encode(into buffer: inout ByteBuffer) throws(SchemaError) -> Body

  /// Copies every field out of a C struct that was unpacked from checked input. For generated code.
  init(reading c: UnsafePointer<CStruct>)
}

extension Message {
  /// No body field, unless the generated message says otherwise.
  @inlinable
  public static var bodyField: UInt32? { nil }

  /// Empty, and nothing can be stored, unless the generated message has a body field.
  @inlinable
  public var messageBody: Body {
    get { Body() }
    set { precondition(newValue.count == 0, "a message without a body field has no body") }
  }
}

/// The descriptor that a C struct's init function sets. For generated code.
public func descriptorOfMessage<CStruct>(
  _ initialize: (UnsafeMutablePointer<CStruct>?) -> Void
) -> UnsafePointer<ProtobufCMessageDescriptor> {
  withUnsafeTemporaryAllocation(of: CStruct.self, capacity: 1) { memory in
    initialize(memory.baseAddress)
    return UnsafeRawBufferPointer(memory).load(
      as: UnsafePointer<ProtobufCMessageDescriptor>.self)
  }
}
