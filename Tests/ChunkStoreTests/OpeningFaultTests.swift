import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Chunk store that opens under faults")
struct OpeningFaultTests {
  @Test("a segment that can't be read to its end when the store opens stays as it is")
  func unreadable() async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    for upload in 1...10 as ClosedRange<UInt64> {
      try await first.store(pattern(100_000, seed: upload), upload: upload)
    }
    let last = try #require(first.place(upload: 10))
    let path = StorePaths.segment(last.segment)
    disk.crash()
    // Its head and its end are read, then one read of its records fails.
    let reads = Mutex(0)
    disk.injectFaults { call in
      guard call.kind == .read, call.path == path else { return nil }
      let count = reads.withLock { count in
        count += 1
        return count
      }
      return count == 4 ? StoreError(.internal, "input/output error") : nil
    }
    let half = try await openStore(disk)
    await half.upkeepAll()
    disk.injectFaults(nil)
    #expect(disk.contents(of: path) != nil)
    await half.close()
    disk.crash()
    let again = try await openStore(disk)
    for upload in 1...10 as ClosedRange<UInt64> {
      #expect(try await again.load(upload: upload) == pattern(100_000, seed: upload))
    }
  }

  @Test("room is given back only where a checkpoint says what the record had replaced")
  func punchedAndForgotten() async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk, segmentBytes: 512 << 10)
    for upload in 1...4 as ClosedRange<UInt64> {
      try await first.store(pattern(100_000, seed: upload), upload: upload)
    }
    await first.close()
    let store = try await openStore(disk, segmentBytes: 512 << 10)
    let old = try #require(store.place(upload: 1))
    let damaged = try #require(store.place(upload: 2))
    disk.corrupt(StorePaths.segment(damaged.segment)) { $0[damaged.offset + 50_000] ^= 1 }
    await store.compact(old.segment)
    #expect(store.place(upload: 1)?.segment != old.segment)
    try await store.delete(ChunkID(group: 7, upload: 1, index: 0))
    // What was written outlives this power cut, the freed room too.
    disk.crash { _ in true }
    let again = try await openStore(disk, segmentBytes: 512 << 10)
    #expect(await code { _ = try await again.load(upload: 1) } == .deleted)
  }

  @Test("a disk without any room left opens")
  func noRoom() async throws {
    let disk = MemoryDisk(capacityBytes: 64 << 20)
    let first = try await openStore(disk)
    try await first.store(pattern(5_000, seed: 1), upload: 1)
    disk.crash()
    disk.injectFaults { call in
      call.kind == .write || call.kind == .create
        ? StoreError(.resourceExhausted, "no space left on device") : nil
    }
    let again = try await openStore(disk)
    #expect(try await again.load(upload: 1) == pattern(5_000, seed: 1))
  }
}
