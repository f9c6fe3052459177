import NIOCore
import Schema
import Testing
import TestSchemas

@Suite("Messages with bodies")
struct BodyCodingTests {
  /// A message with a body in two pieces.
  let message: Everything = {
    var body = Body(ByteBuffer(bytes: [1, 2]))
    body.append(ByteBuffer(bytes: [3, 4, 5]))
    return Everything(int32Value: 6, data: body)
  }()

  @Test("the message part ends with the body's tag and length, and the body is handed on uncopied")
  func encodesApart() throws {
    var buffer = ByteBuffer()
    let body = try message.encode(into: &buffer)
    #expect(Array(buffer.readableBytesView) == [8, 6, 15 << 3 | 2, 5])
    #expect(body.pieces.count == 2)
    #expect(try message.encodedBytes() == [8, 6, 15 << 3 | 2, 5, 1, 2, 3, 4, 5])
  }

  @Test("message part and body together are the message")
  func decodesApart() throws {
    var buffer = ByteBuffer()
    let body = try message.encode(into: &buffer)
    let decoded = try Everything(decoding: buffer, body: body)
    #expect(decoded == message)
    #expect(decoded.data.pieces.count == 2)
  }

  @Test("a plain peer's message with the body inline is decoded, wherever in it the body stands")
  func inline() throws {
    let plain = try message.encodedBytes()
    #expect(try Everything(encodedBytes: plain) == message)
    let first = Wire().delimited(15, [1, 2, 3, 4, 5]).varint(1, 6).bytes
    #expect(try Everything(encodedBytes: first) == message)
    let twice = Wire().delimited(15, [9]).varint(1, 6).delimited(15, [1, 2, 3, 4, 5]).bytes
    #expect(try Everything(encodedBytes: twice) == message)
  }

  @Test("an inline body at the end empties one that came before it")
  func inlineEmptied() throws {
    let bytes = Wire().delimited(15, [9]).delimited(15, []).bytes
    #expect(try Everything(encodedBytes: bytes) == Everything())
  }

  @Test("a message without its body field is received with an empty body")
  func absent() throws {
    #expect(try Everything(encodedBytes: [8, 6]) == Everything(int32Value: 6))
  }

  @Test("an empty body leaves no trace")
  func empty() throws {
    var buffer = ByteBuffer()
    let body = try Everything(int32Value: 6).encode(into: &buffer)
    #expect(body.isEmpty)
    #expect(Array(buffer.readableBytesView) == [8, 6])
  }

  @Test("a message inside another has its body inline")
  func nested() throws {
    let tree = Tree(everything: message)
    var buffer = ByteBuffer()
    #expect(try tree.encode(into: &buffer).isEmpty)
    #expect(try Tree(decoding: buffer) == tree)
  }

  @Test("a body that doesn't fit the end of the message part is refused")
  func mismatch() throws {
    let body = Body([1, 2, 3])
    let tag: UInt8 = 15 << 3 | 2
    let parts: [[UInt8]] = [
      [], [8, 6], [tag], [tag, 2], [tag, 4], [tag, 3, 8, 6], [tag, 0x83, 0], [8, 6, tag - 1, 3],
    ]
    for part in parts {
      let error = #expect(throws: SchemaError.self) {
        try Everything(decoding: ByteBuffer(bytes: part), body: body)
      }
      #expect(error?.code == .bodyMismatch)
      #expect(error?.message == "holdfast.testing.v1.Everything")
    }
    let error = #expect(throws: SchemaError.self) {
      try Inner(decoding: ByteBuffer(bytes: [8, 6]), body: body)
    }
    #expect(error?.code == .bodyMismatch)
  }

  @Test("a body counts neither against the limit on bytes nor that on memory")
  func limits() throws {
    let large = Everything(data: Body([UInt8](repeating: 1, count: 100_000)))
    var buffer = ByteBuffer()
    let body = try large.encode(into: &buffer)
    let limits = DecodingLimits(bytes: 100, memory: 2000)
    #expect(try Everything(decoding: buffer, body: body, limits: limits) == large)
  }
}
