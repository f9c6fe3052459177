import Checksum
import NIOCore
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

/// The node's number in these tests.
let testNode = NodeID(0x1234)

/// A clock that stands still: who sleeps is woken at once.
struct StillClock: ChunkStoreClock {
  var nanoseconds: UInt64 = 0
  var wallSeconds: Int64 = 1_767_225_600

  func sleep(until nanoseconds: UInt64) async throws {
    try Task.checkCancellation()
    await Task.yield()
  }
}

/// Opens a store on a disk, with small segments.
func openStore(
  _ disk: any Disk, segmentBytes: Int = 4 << 20, maxReserveBytes: Int = 64 << 20,
  compactionRunBytes: Int = 8 << 10, scrubDeadline: Duration = .seconds(14 * 24 * 3_600),
  clock: any ChunkStoreClock = StillClock(), node: NodeID = testNode
) async throws -> SegmentStore {
  var configuration = SegmentStore.Configuration()
  configuration.segmentBytes = segmentBytes
  configuration.maxReserveBytes = maxReserveBytes
  configuration.scrubDeadline = scrubDeadline
  // Little at a time, so that much can happen between two moves.
  configuration.compactionRunBytes = compactionRunBytes
  var random = UInt64(1)
  return try await SegmentStore.open(
    on: disk, clock: clock, configuration: configuration, drawNode: { node },
    random: {
      random &+= 1
      return random
    })
}

/// A chunk to store.
func newChunk(_ upload: UInt64, index: UInt32 = 0, bytes: [UInt8]) throws -> NewChunk {
  NewChunk(
    id: ChunkID(group: 7, upload: upload, index: index), epoch: 3, length: UInt32(bytes.count),
    name: try Name(bucket: "photos", key: "summer/\(upload).jpg"))
}

extension ChunkStore {
  /// Stores a chunk in pieces.
  @discardableResult
  func store(
    _ bytes: [UInt8], upload: UInt64, index: UInt32 = 0, pieceBytes: Int = 100_000
  ) async throws -> ChunkRecord {
    try await put(try newChunk(upload, index: index, bytes: bytes)) { put in
      for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
        try await put.append(
          ByteBuffer(bytes: bytes[start..<min(start + pieceBytes, bytes.count)]))
      }
      return try await put.finish(checksum: CRC32C.checksum(of: bytes))
    }
  }

  /// A chunk's bytes.
  func load(upload: UInt64, index: UInt32 = 0) async throws -> [UInt8] {
    try await withChunk(ChunkID(group: 7, upload: upload, index: index)) { reader in
      var bytes = ByteBuffer()
      let blocks = BlockChecksums.blockCount(bytes: Int(reader.record.chunk.length))
      for start in stride(from: 0, to: blocks, by: 3) {
        bytes.writeImmutableBuffer(
          try await reader.read(blocks: start..<min(start + 3, blocks)).bytes)
      }
      return bytes.getBytes(at: 0, length: bytes.readableBytes) ?? []
    }
  }
}

/// The code of the error that `body` throws; nil when it throws none.
func code(_ body: () async throws -> Void) async -> StoreError.Code? {
  do {
    try await body()
    return nil
  } catch {
    return (error as? StoreError)?.code
  }
}

extension SegmentStore {
  /// Checks that no memory is held, no extent is open and the counts are right.
  func leftovers() -> [String] {
    let (extents, pins) = shell.withLock { shell in
      shell.state.checkInvariants()
      let segments = shell.state.segments.values
      return (segments.reduce(0) { $0 + $1.extents }, segments.reduce(0) { $0 + $1.pins })
    }
    var left: [String] = []
    if staging.usedBytes != 0 { left.append("\(staging.usedBytes) staged bytes") }
    if extents != 0 { left.append("\(extents) open extents") }
    if pins != 0 { left.append("\(pins) pins") }
    return left
  }

  /// Does upkeep until there is none, and sees that none was overlooked.
  func upkeepAll() async {
    while await upkeep() {}
    let overlooked = shell.withLock { shell -> StoreState.Chore? in
      var state = shell.state
      state.attention = Set(state.segments.keys)
      // Punching is passed over where it failed.
      guard let chore = state.nextChore(), case .punch = chore else { return state.nextChore() }
      return nil
    }
    #expect(overlooked == nil, "upkeep that nobody did")
  }

  /// Bytes of all records that were written to the segments that are there.
  var writtenBytes: Int {
    shell.withLock { $0.state.segments.values.reduce(0) { $0 + $1.writtenBytes } }
  }

  /// Where a chunk's record stands.
  func place(upload: UInt64, index: UInt32 = 0) -> RecordPlace? {
    shell.withLock { $0.state.index[ChunkID(group: 7, upload: upload, index: index)]?.place }
  }
}
