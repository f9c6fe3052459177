import NIOCore
import Schema
import Testing

@testable import StoreClient

@Suite struct ChunkAssemblerTests {
  private func bytes(_ body: Body) -> [UInt8] {
    body.pieces.flatMap { Array($0.readableBytesView) }
  }

  private func cut(
    _ count: Int, buffers: Int, chunkBytes: Int, pieceBytes: Int
  ) -> [OutgoingChunk] {
    var assembler = ChunkAssembler(chunkBytes: chunkBytes, pieceBytes: pieceBytes)
    let all = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    var chunks: [OutgoingChunk] = []
    var start = 0
    while start < count {
      let end = min(count, start + buffers)
      chunks += assembler.append(ByteBuffer(bytes: all[start..<end]))
      start = end
    }
    if let last = assembler.finish() { chunks.append(last) }
    return chunks
  }

  @Test(
    "chunks and pieces have their sizes and the bytes their order, whatever the buffers",
    arguments: [0, 1, 9, 10, 11, 29, 30, 31, 60, 61, 100], [1, 3, 10, 30, 31, 1_000])
  func sizes(count: Int, buffers: Int) {
    let chunks = cut(count, buffers: buffers, chunkBytes: 30, pieceBytes: 10)
    #expect(chunks.count == (count + 29) / 30)
    #expect(chunks.map(\.index) == Array(0..<UInt32(chunks.count)))
    #expect(chunks.dropLast().allSatisfy { $0.length == 30 })
    for chunk in chunks {
      #expect(chunk.pieces.dropLast().allSatisfy { $0.count == 10 })
      #expect(chunk.pieces.map(\.count).reduce(0, +) == chunk.length)
    }
    let expected = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    #expect(chunks.flatMap { $0.pieces.flatMap(bytes) } == expected)
  }

  @Test("large buffers are passed on without a copy, small ones gathered")
  func gathering() {
    var assembler = ChunkAssembler(chunkBytes: 1 << 20, pieceBytes: 1 << 19)
    #expect(assembler.append(ByteBuffer(repeating: 1, count: 100_000)).isEmpty)
    for _ in 0..<1_000 { #expect(assembler.append(ByteBuffer(repeating: 2, count: 3)).isEmpty) }
    #expect(assembler.append(ByteBuffer(repeating: 3, count: 100_000)).isEmpty)
    let chunk = assembler.finish()
    #expect(chunk?.length == 203_000)
    #expect(chunk?.pieces.map { $0.pieces.map(\.readableBytes) } == [[100_000, 3_000, 100_000]])
  }
}
