import NIOCore
import Schema
import Testing

@Suite("Bodies")
struct BodyTests {
  /// A body of these pieces.
  func body(_ pieces: [UInt8]...) -> Body {
    var body = Body()
    for piece in pieces { body.append(ByteBuffer(bytes: piece)) }
    return body
  }

  @Test("bodies are equal when their bytes are, whatever their pieces")
  func equality() {
    #expect(body([1, 2, 3]) == body([1], [2, 3]))
    #expect(body([1, 2, 3]).hashValue == body([1], [2], [3]).hashValue)
    #expect(body([1, 2, 3]) != body([1, 2]))
    #expect(body([1, 2], [3]) != body([1], [2, 4]))
    #expect(body() == body([], []))
    let long = [UInt8]((0..<1000).map { UInt8(truncatingIfNeeded: $0) })
    let split = body(Array(long[..<30]), Array(long[30..<950]), Array(long[950...]))
    #expect(Body(long) == split)
    #expect(Body(long).hashValue == split.hashValue)
  }

  @Test("a slice has the bytes of its range, wherever the pieces end")
  func slices() {
    let bytes: [UInt8] = [0, 1, 2, 3, 4, 5, 6, 7]
    let whole = body([0, 1, 2], [3], [4, 5, 6, 7])
    for first in 0...8 {
      for last in first...8 {
        let slice = whole.slice(first..<last)
        #expect(slice.bytes == Array(bytes[first..<last]))
        #expect(slice.count == last - first)
        #expect(slice.pieces.allSatisfy { $0.readableBytes > 0 })
      }
    }
  }

  @Test("a piece counts from its reader, and empty pieces are left out")
  func readers() {
    var buffer = ByteBuffer(bytes: [1, 2, 3, 4])
    buffer.moveReaderIndex(forwardBy: 1)
    var body = Body(buffer)
    body.append(ByteBuffer())
    body.append(Body([5]))
    #expect(body.count == 4)
    #expect(body.pieces.count == 2)
    #expect(body.slice(1..<4).bytes == [3, 4, 5])
    #expect(Array(body.readableBytesView) == [2, 3, 4, 5])
    #expect(Array(body.contiguous.readableBytesView) == [2, 3, 4, 5])
  }

  @Test("no bytes are an empty body")
  func empty() {
    #expect(Body().isEmpty)
    #expect(Body([UInt8]()).pieces.isEmpty)
    #expect(Body().contiguous.readableBytes == 0)
    #expect(Body().bytes == [])
    #expect(Body().slice(0..<0).isEmpty)
  }
}
