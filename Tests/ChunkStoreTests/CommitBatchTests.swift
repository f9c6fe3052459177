import SeededExecution
import StoreModel
import Testing

@testable import ChunkStore

@Suite("Commit batches")
struct CommitBatchTests {
  private static let noRoom = StoreError(.resourceExhausted, "no space left")

  /// A large chunk whose payload stands in segment 3 already, beside which a ghost in segment 2 must end.
  private static func batch(ghosts: Int = 1) throws -> CommitBatch {
    let chunk = try newChunk(1, bytes: pattern(100_000, seed: 1))
    var header = RecordHeader.chunk(
      ChunkRecord(chunk: chunk, checksum: 0), blocks: [1, 2], superseding: nil, isAligned: true)
    header.place = RecordPlace(segment: 3, unit: 64)
    return CommitBatch(
      commits: [Commit(header: header, body: .placed(DiskBuffer(capacity: 8_192)), use: .put)],
      kills: (0..<ghosts).map {
        RecordKill(id: chunk.id, place: RecordPlace(segment: 2, unit: UInt32(64 + $0)))
      })
  }

  @Test("a record is not written where there is no room for what must end with it")
  func refused() throws {
    var batch = try Self.batch()
    batch.refuseGathered(Self.noRoom)
    batch.refuseUnkilled()
    let memory = DiskBuffer(capacity: SegmentStore.maxBatchBytes)
    #expect(batch.lay(at: nil, in: memory, batch: 1, durableBatch: 0).isEmpty)
    #expect(throws: Self.noRoom) { _ = try batch.results[0].get() }
  }

  @Test("a record does not count where the write of what must end with it failed")
  func failed() throws {
    var batch = try Self.batch()
    batch.refuseUnkilled()
    let memory = DiskBuffer(capacity: SegmentStore.maxBatchBytes)
    let extent = RecordPlace(segment: 4, unit: 64)
    #expect(batch.lay(at: extent, in: memory, batch: 1, durableBatch: 0).count == 2)
    batch.fail(4, StoreError(.internal, "input/output error"))
    batch.failUnkilled()
    #expect(throws: StoreError.self) { _ = try batch.results[0].get() }
    var state = StoreState(
      limits: StoreState.Limits(segmentBytes: 1 << 20), index: ChunkIndex(hashSeed: 1))
    batch.settle(&state)
    #expect(state.index.count == 0)
    #expect(state.ghosts.values.flatMap { $0 }.contains(RecordPlace(segment: 3, unit: 64)))
  }

  @Test("more ghosts than a commit has room for make it fail, and nothing else")
  func manyGhosts() throws {
    var batch = try Self.batch(ghosts: 20_000)
    #expect(batch.gatheredBytes <= SegmentStore.maxBatchBytes)
    batch.refuseUnkilled()
    #expect(throws: StoreError.self) { _ = try batch.results[0].get() }
  }

  @Test("rooms of dead records are joined up to the next one that counts, and never reach into it")
  func deadRanges() {
    func entry(_ offset: Int, _ length: UInt32) -> SegmentEntry {
      SegmentEntry(
        id: ChunkID(group: 1, upload: UInt64(offset), index: 0), unit: UInt32(offset / 64),
        length: length)
    }
    let entries = [
      entry(4_096, 3_000), entry(8_192, 3_000), entry(12_352, 20_000), entry(36_864, 9_000),
    ]
    #expect(
      Segment.deadRanges(entries, [true, true, true, true], next: 49_152 / 64)
        == [4_096..<49_152])
    #expect(
      Segment.deadRanges(entries, [true, false, true, false], next: nil)
        == [4_096..<8_192, 16_384..<36_864])
    // Two in one block behind one that counts.
    let packed = [entry(4_096, 3_000), entry(8_192, 3_000), entry(12_288, 500), entry(12_992, 500)]
    #expect(
      Segment.deadRanges(packed, [true, false, true, true], next: 20_480 / 64)
        == [4_096..<8_192, 12_288..<20_480])
    #expect(
      Segment.deadRanges(entries, [false, true, false, true], next: nil) == [
        8_192..<12_288, 36_864..<45_056,
      ])
    #expect(Segment.deadRanges(entries, [false, false, false, false], next: nil).isEmpty)
  }

  @Test("dead ranges hold all whole blocks between records that count, and no byte of one of these")
  func anyDeadRanges() {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<2_000 {
      var entries: [SegmentEntry] = []
      var isDead: [Bool] = []
      var offset = 4_096 + 64 * generator.next(below: 100)
      for _ in 0..<1 + generator.next(below: 20) {
        let length = [1, 500, 3_000, 9_000, 70_000][generator.next(below: 5)]
        entries.append(
          SegmentEntry(
            id: ChunkID(group: 1, upload: UInt64(offset), index: 0), unit: UInt32(offset / 64),
            length: UInt32(length)))
        isDead.append(generator.next(below: 3) > 0)
        offset += RecordPlace.roundUp(RecordHeader.fixedBytes + 40 + length)
      }
      let ranges = Segment.deadRanges(entries, isDead, next: UInt32(offset / 64))
      let ends = entries.dropFirst().map { Int($0.unit) * 64 } + [offset]
      var free: Set<Int> = []
      for range in ranges { free.formUnion(range.lowerBound / 4_096..<range.upperBound / 4_096) }
      #expect(free.count * 4_096 == ranges.reduce(0) { $0 + $1.count })
      for (place, entry) in entries.enumerated() {
        let start = Int(entry.unit) * 64
        let blocks = start / 4_096...(ends[place] - 1) / 4_096
        if !isDead[place] { #expect(free.isDisjoint(with: blocks)) }
        // A dead one's own whole blocks are free.
        let own =
          DiskBuffer.roundUp(start)
          / 4_096..<max(
            ends[place] / 4_096, DiskBuffer.roundUp(start) / 4_096)
        if isDead[place] { #expect(free.isSuperset(of: own)) }
      }
    }
  }
}
