import Checksum
import NIOCore
import StoreModel
import Testing

@testable import ChunkStore

@Suite("Chunk store")
struct ChunkStoreBasicsTests {
  /// Lengths around every border there is: blocks, alignment, gathered or streamed.
  static let lengths = [
    1, 4_095, 4_096, 4_097, 65_535, 65_536, 65_537, 253_951, 253_952, 258_048, 300_000,
    (1 << 20) + 65_553,
  ]

  @Test("what was stored is read back, in pieces of any size, and again after a restart")
  func roundTrip() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for (place, length) in Self.lengths.enumerated() {
      for (other, piece) in [1_000, 65_536, 262_144, 5_000_001].enumerated() {
        let upload = UInt64(place * 10 + other + 1)
        guard length / piece < 300 else { continue }
        let bytes = pattern(length, seed: upload)
        let record = try await store.store(bytes, upload: upload, pieceBytes: piece)
        #expect(record.checksum == CRC32C.checksum(of: bytes))
        #expect(try await store.load(upload: upload) == bytes)
      }
    }
    #expect(store.leftovers().isEmpty)
    disk.crash()
    let again = try await openStore(disk)
    #expect(await again.takeProblems().isEmpty)
    for (place, length) in Self.lengths.enumerated() {
      let upload = UInt64(place * 10 + 3)
      #expect(try await again.load(upload: upload) == pattern(length, seed: upload))
      let record = try await again.stat(ChunkID(group: 7, upload: upload, index: 0))
      #expect(try record.chunk == newChunk(upload, bytes: pattern(length, seed: upload)))
    }
  }

  @Test("a missing chunk is not found")
  func missing() async throws {
    let store = try await openStore(MemoryDisk())
    let id = ChunkID(group: 1, upload: 2, index: 3)
    #expect(await code { _ = try await store.stat(id) } == .notFound)
    #expect(await code { _ = try await store.openChunk(id) } == .notFound)
    #expect(await code { try await store.delete(id) } == .notFound)
  }

  @Test("the same chunk again is a success, another content a conflict", arguments: [500, 400_000])
  func putTwice(length: Int) async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    let bytes = pattern(length, seed: 1)
    let first = try await store.store(bytes, upload: 1)
    #expect(try await store.store(bytes, upload: 1) == first)
    let other = pattern(length, seed: 2)
    #expect(await code { try await store.store(other, upload: 1) } == .alreadyExists)
    let longer = pattern(length + 1, seed: 1)
    #expect(await code { try await store.store(longer, upload: 1) } == .alreadyExists)
    #expect(try await store.load(upload: 1) == bytes)
    #expect(try await store.statistics().chunks == 1)
    #expect(store.leftovers().isEmpty)
  }

  @Test("of many puts of one chunk at once all succeed, or those with another content conflict")
  func putAtOnce() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    let contents = [pattern(300_000, seed: 1), pattern(300_000, seed: 2)]
    let outcomes = await withTaskGroup(of: (Int, StoreError.Code?).self) { group in
      for place in 0..<20 {
        group.addTask {
          (place % 2, await code { try await store.store(contents[place % 2], upload: 1) })
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    let stored = try await store.load(upload: 1)
    let winner = try #require(contents.firstIndex(of: stored))
    for (content, outcome) in outcomes {
      #expect(outcome == (content == winner ? nil : .alreadyExists))
    }
    #expect(store.leftovers().isEmpty)
  }

  @Test("a wrong checksum, missing and surplus bytes and bad lengths are refused; nothing is left")
  func badPuts() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for length in [1_000, 400_000] {
      let bytes = pattern(length, seed: 1)
      let chunk = try newChunk(1, bytes: bytes)
      let wrong = await code {
        try await store.put(chunk) { put in
          try await put.append(ByteBuffer(bytes: bytes))
          _ = try await put.finish(checksum: 1)
        }
      }
      #expect(wrong == .dataLoss)
      let short = await code {
        try await store.put(chunk) { put in
          try await put.append(ByteBuffer(bytes: bytes.dropLast()))
          _ = try await put.finish(checksum: CRC32C.checksum(of: bytes))
        }
      }
      #expect(short == .invalidArgument)
      let long = await code {
        try await store.put(chunk) { put in
          try await put.append(ByteBuffer(bytes: bytes))
          try await put.append(ByteBuffer(bytes: [1]))
        }
      }
      #expect(long == .invalidArgument)
    }
    for length in [0, ChunkLimits.maxBytes + 1] {
      var chunk = try newChunk(1, bytes: [1])
      chunk.length = length
      #expect(await code { _ = try await store.beginPut(chunk) } == .invalidArgument)
    }
    #expect(await code { _ = try await store.load(upload: 1) } == .notFound)
    #expect(store.leftovers().isEmpty)
  }

  @Test("a deleted chunk stays deleted after a power cut, and may be written anew")
  func deletion() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store([1, 2, 3], upload: 1)
    try await store.delete(ChunkID(group: 7, upload: 1, index: 0))
    #expect(await code { _ = try await store.load(upload: 1) } == .deleted)
    #expect(try await store.statistics().usedBytes == 0)
    disk.crash()
    let again = try await openStore(disk)
    #expect(await code { _ = try await again.load(upload: 1) } == .deleted)
    try await again.store([4, 5], upload: 1)
    #expect(try await again.load(upload: 1) == [4, 5])
  }

  @Test("chunks are listed in the order of their ids, page by page")
  func listing() async throws {
    let store = try await openStore(MemoryDisk())
    for upload in [5, 1, 9, 3, 7] as [UInt64] {
      for index in [2, 0, 1] as [UInt32] {
        try await store.store([UInt8(upload)], upload: upload, index: index)
      }
    }
    try await store.delete(ChunkID(group: 7, upload: 9, index: 1))
    try await store.delete(ChunkID(group: 7, upload: 3, index: 0))
    try await store.store([3], upload: 3, index: 0)
    let expected = [1, 3, 5, 7, 9].flatMap { upload in
      (0..<3).map { ChunkID(group: 7, upload: upload, index: $0) }
    }.filter { $0 != ChunkID(group: 7, upload: 9, index: 1) }
    for limit in 1...16 {
      var found: [ChunkID] = []
      var after: ChunkID?
      repeat {
        let page = try await store.list(after: after, limit: limit)
        #expect(page.records.count <= limit)
        found += page.records.map(\.chunk.id)
        after = page.next
      } while after != nil
      #expect(found == expected)
    }
  }

  @Test("statistics count chunks and bytes")
  func statistics() async throws {
    let store = try await openStore(MemoryDisk(capacityBytes: 1 << 20), segmentBytes: 64 << 10)
    try await store.store([1, 2, 3], upload: 1)
    try await store.store(pattern(1_000, seed: 1), upload: 2)
    let statistics = try await store.statistics()
    #expect(statistics.chunks == 2)
    #expect(statistics.usedBytes == 1_003)
    #expect(statistics.capacityBytes == 1 << 20)
    #expect(statistics.freeBytes < 1 << 20)
  }

  @Test("memory for chunks on their way is bounded, and all puts get their turn")
  func boundedMemory() async throws {
    var configuration = SegmentStore.Configuration()
    configuration.stagingBytes = 2 << 20
    configuration.segmentBytes = 4 << 20
    let store = try await SegmentStore.open(
      on: MemoryDisk(), clock: StillClock(), configuration: configuration,
      drawNode: { testNode }, random: { 7 })
    let bytes = pattern(400_000, seed: 1)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for upload in 1...20 {
        group.addTask { try await store.store(bytes, upload: UInt64(upload), pieceBytes: 50_000) }
      }
      try await group.waitForAll()
    }
    #expect(try await store.statistics().chunks == 20)
    #expect(store.leftovers().isEmpty)
  }

  @Test("a put that waits for memory ends when it is cancelled")
  func cancelledWait() async throws {
    let buffers = StagingBuffers(budget: 10 << 12, spareBytes: 1, maxSpares: 0)
    let held = try await buffers.take(8 << 12)
    await withTaskGroup(of: Bool.self) { group in
      group.addTask {
        do {
          _ = try await buffers.take(5 << 12)
          return false
        } catch {
          return error is CancellationError
        }
      }
      group.cancelAll()
      #expect(await group.next() == true)
    }
    buffers.give(held)
    #expect(buffers.usedBytes == 0)
  }

  @Test("the memory of chunks on their way in is counted as it is taken")
  func budget() async throws {
    let buffers = StagingBuffers(budget: 1 << 20, spareBytes: 1 << 18, maxSpares: 4)
    var taken: [DiskBuffer] = []
    for _ in 1...100 { taken.append(try await buffers.take(100)) }
    #expect(buffers.usedBytes == taken.reduce(0) { $0 + $1.bytes.count })
    for buffer in taken { buffers.give(buffer) }
    #expect(buffers.usedBytes == 0)
  }
}
