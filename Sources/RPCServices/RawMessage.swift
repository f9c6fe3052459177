public import CProtobufC
public import CSchemas
public import NIOCore
public import Schema

/// A message of which only the bytes are known: for calls of methods whose schema isn't compiled in.
public struct RawMessage: Message {
  /// The message as plain protobuf, its body included.
  public var bytes: ByteBuffer

  /// Takes the bytes as they are.
  public init(bytes: ByteBuffer) {
    self.bytes = bytes
  }

  /// A message without fields.
  public init() {
    bytes = ByteBuffer()
  }

  /// Takes the bytes as they are, without a look at them.
  public init(
    decoding bytes: ByteBuffer, body: Body, limits: DecodingLimits
  ) throws(SchemaError) {
    self.bytes = bytes
    for piece in body.pieces { self.bytes.writeImmutableBuffer(piece) }
  }

  /// Appends the bytes as they are.
  @discardableResult
  public func encode(into buffer: inout ByteBuffer) throws(SchemaError) -> Body {
    buffer.writeImmutableBuffer(bytes)
    return Body()
  }

  // What a generated message has and nobody asks of this one.

  /// A message without fields.
  public typealias CStruct = Holdfast__Rpc__GetConnectionsRequest
  /// No message's name.
  public static var fullName: String { "a message" }
  /// A message without fields.
  public static var cDescriptor: UnsafePointer<ProtobufCMessageDescriptor> {
    GetConnectionsRequest.cDescriptor
  }

  /// Sets up a struct without fields.
  public func fill(
    _ c: UnsafeMutablePointer<CStruct>, in arena: borrowing Arena
  ) throws(SchemaError) {
    try GetConnectionsRequest().fill(c, in: arena)
  }

  /// A message without fields.
  public init(reading c: UnsafePointer<CStruct>) {
    self.init()
  }

  /// Nothing is known of any field.
  public var unknownFields: UnknownFields {
    get { UnknownFields() }
    set {}
  }

  /// Has no form in JSON without its schema.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    throw Self.noSchema
  }

  /// Has no form in JSON without its schema.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    throw Self.noSchema
  }

  private static var noSchema: SchemaError {
    SchemaError(.invalidJSON, message: fullName, text: "the message's schema isn't known")
  }
}
