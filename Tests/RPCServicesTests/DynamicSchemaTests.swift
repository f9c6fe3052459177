import NIOCore
import RPC
import RPCServices
import Schema
import StoreProtocol
import Testing

/// Messages whose types are known by their descriptors alone, against the generated ones.
@Suite("Messages by descriptors alone")
struct DynamicSchemaTests {
  private let schema: DynamicSchema

  init() throws {
    schema = DynamicSchema(
      try FileSchema.closure(of: StoreServices.files + [.grpcReflectionV1Reflection]).map {
        try Google_Protobuf_FileDescriptorProto(encodedBytes: $0.descriptor)
      })
  }

  /// Encodes with one, decodes with the other, both ways.
  private func expectSame<Content: Message>(
    _ message: Content, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let bytes = try message.encodedBytes()
    let text = try schema.json(ByteBuffer(bytes: bytes), as: Content.fullName)
    #expect(try Content(json: text) == message, "\(text)", sourceLocation: sourceLocation)
    let encoded = try schema.encode(json: message.jsonString(), as: Content.fullName)
    #expect(try Content(decoding: encoded) == message, sourceLocation: sourceLocation)
  }

  @Test("are the same as generated ones, in JSON and on the wire")
  func same() throws {
    try expectSame(EchoRequest(payload: [0, 255, 62], data: Body(ByteBuffer(string: "body"))))
    try expectSame(EchoRequest())
    let file = try Google_Protobuf_FileDescriptorProto(
      encodedBytes: FileSchema.grpcHealthV1Health.descriptor)
    try expectSame(file)
    try expectSame(
      ServerReflectionResponse(
        validHost: "\"\\\n\u{1}é",
        originalRequest: ServerReflectionRequest(
          messageRequest: .listServices("")),
        messageResponse: .errorResponse(ErrorResponse(errorCode: -5, errorMessage: "x"))))
  }

  @Test(
    "refuse JSON that doesn't fit, and say where",
    arguments: [
      ("[]", "object"), ("{", "JSON"), (#"{"nothing": 1}"#, "no field 'nothing'"),
      (#"{"payload": 1}"#, "payload"), (#"{"payload": "!"}"#, "base64"),
    ])
  func refusesJSON(json: String, words: String) {
    let failure = #expect(throws: DynamicFailure.self) {
      try schema.encode(json: json, as: EchoRequest.fullName)
    }
    #expect(failure?.description.contains(words) == true, "\(failure as Any)")
  }

  @Test(
    "refuse bytes that are no message",
    arguments: [
      [10], [10, 5, 1], [8], [8, 1], [0], [11], [255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
    ])
  func refusesBytes(bytes: [UInt8]) {
    #expect(throws: DynamicFailure.self) {
      try schema.json(ByteBuffer(bytes: bytes), as: EchoRequest.fullName)
    }
  }

  @Test("methods are found by their paths")
  func methods() {
    let method = schema.method("/holdfast.v1.Node/PutChunk")
    #expect(method?.request == "holdfast.v1.PutChunkRequest")
    #expect(method?.isClientStreaming == true && method?.isServerStreaming == false)
    #expect(schema.method("/holdfast.v1.Node/None") == nil)
  }
}
