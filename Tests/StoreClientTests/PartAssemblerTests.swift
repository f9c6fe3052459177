import Checksum
import NIOCore
import Schema
import StoreModel
import Testing

@testable import StoreClient

@Suite struct PartAssemblerTests {
  private static let block = BlockChecksums.blockBytes
  private let content = (0..<(2 * block + 100)).map { UInt8(truncatingIfNeeded: $0 &* 31) }

  private func part(_ range: Range<Int>, checksum: UInt32? = nil) -> ReadPlan.Part {
    ReadPlan.Part(
      chunk: Manifest.Chunk(
        id: ChunkID(group: 1, upload: 1, index: 0), length: UInt32(content.count),
        checksum: checksum ?? CRC32C.checksum(of: content)),
      offset: UInt32(range.lowerBound), length: UInt32(range.count))
  }

  /// Feeds the blocks that cover the range, `blocks` a message, as a node would.
  private func feed(
    _ assembler: inout PartAssembler, _ range: Range<Int>, blocks: Int = 1,
    spoil: (inout [UInt8]) -> Void = { _ in }
  ) throws {
    var start = range.lowerBound / Self.block * Self.block
    while start < range.upperBound {
      let end = min(content.count, start + blocks * Self.block)
      var data = Array(content[start..<end])
      var sums = BlockChecksums()
      sums.update(ByteBuffer(bytes: data))
      spoil(&data)
      try assembler.received(
        offset: UInt32(start), checksums: sums.blocks, data: Body(ByteBuffer(bytes: data)))
      start = end
    }
  }

  @Test(
    "exactly the wanted bytes come out",
    arguments: [0..<131_172, 0..<1, 65_535..<65_537, 70_000..<131_172, 131_171..<131_172], [1, 3])
  func wanted(range: Range<Int>, blocks: Int) throws {
    var assembler = PartAssembler(part(range))
    try feed(&assembler, range, blocks: blocks)
    let bytes = try assembler.finish().flatMap { Array($0.readableBytesView) }
    #expect(bytes == Array(content[range]))
  }

  @Test("a changed byte is noticed in its block")
  func changedByte() {
    var assembler = PartAssembler(part(0..<content.count))
    let damage = #expect(throws: PartAssembler.Damage.self) {
      try feed(&assembler, 0..<content.count) { $0[$0.count / 2] ^= 1 }
    }
    #expect(damage?.message.contains("block 0") == true)
  }

  @Test("blocks that are right by themselves but aren't the manifest's are noticed")
  func otherChunk() throws {
    var assembler = PartAssembler(part(0..<content.count, checksum: 1))
    try feed(&assembler, 0..<content.count)
    #expect(throws: PartAssembler.Damage.self) { try assembler.finish() }
  }

  @Test("missing, repeated, early and surplus data is refused")
  func misplaced() throws {
    let data = Body(ByteBuffer(bytes: content[0..<Self.block]))
    let sums = [CRC32C.checksum(of: Array(content[0..<Self.block]))]
    var early = PartAssembler(part(70_000..<80_000))
    #expect(throws: PartAssembler.Damage.self) {
      try early.received(offset: 0, checksums: sums, data: data)
    }
    var repeated = PartAssembler(part(0..<content.count))
    try repeated.received(offset: 0, checksums: sums, data: data)
    #expect(throws: PartAssembler.Damage.self) {
      try repeated.received(offset: 0, checksums: sums, data: data)
    }
    #expect(throws: PartAssembler.Damage.self) { try repeated.finish() }
    var unsummed = PartAssembler(part(0..<content.count))
    #expect(throws: PartAssembler.Damage.self) {
      try unsummed.received(offset: 0, checksums: [], data: data)
    }
    var inside = PartAssembler(part(0..<content.count))
    #expect(throws: PartAssembler.Damage.self) {
      try inside.received(offset: 1, checksums: sums, data: data)
    }
  }
}
