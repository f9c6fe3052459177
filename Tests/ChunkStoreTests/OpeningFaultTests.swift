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
    // From a place in the middle on, nothing of it can be read.
    disk.injectFaults { call in
      guard call.kind == .read, call.path == path, let range = call.range else { return nil }
      return (500_000..<2_000_000).overlaps(range)
        ? StoreError(.internal, "input/output error") : nil
    }
    let half = try await openStore(disk)
    #expect(try await half.load(upload: 1) == pattern(100_000, seed: 1))
    // What can't be read may hold anything: nobody is told that a chunk is not here.
    let lost = ChunkID(group: 7, upload: 9, index: 0)
    #expect(await code { _ = try await half.load(upload: 9) } == .internal)
    #expect(await code { _ = try await half.stat(lost) } == .internal)
    #expect(await code { try await half.delete(lost) } == .internal)
    let page = try await half.list(after: nil, limit: 100)
    let end = try #require(page.next)
    #expect(page.records.last?.chunk.id == end)
    #expect(await code { _ = try await half.list(after: end, limit: 100) } == .internal)
    // What was deleted is known.
    try await half.store([5], upload: 50)
    try await half.delete(ChunkID(group: 7, upload: 50, index: 0))
    #expect(await code { _ = try await half.load(upload: 50) } == .deleted)
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

  /// A disk whose process was killed between a checkpoint's writing and its sync, with three large chunks.
  private static func unsyncedCheckpoint() async throws -> MemoryDisk {
    var sync = Int.max
    while true {
      let disk = MemoryDisk()
      let store = try await openStore(disk)
      for upload in 1...3 as ClosedRange<UInt64> {
        try await store.store(pattern(200_000, seed: upload), upload: upload)
      }
      let found = Mutex(Int.max)
      disk.injectFaults { call in
        if call.kind == .sync, call.path == StorePaths.segment(1) {
          found.withLock { $0 = min($0, call.number) }
        }
        return nil
      }
      if sync < .max { disk.stop(atCall: sync) }
      await store.close()
      if sync < .max {
        disk.restart()
        return disk
      }
      // The same once more, up to there.
      sync = found.withLock { $0 }
    }
  }

  @Test(
    "no room is given back in a segment whose checkpoint may be in the system's memory alone",
    arguments: [false, true])
  func unsynced(fails: Bool) async throws {
    let disk = try await Self.unsyncedCheckpoint()
    let path = StorePaths.segment(1)
    let calls = Mutex<[MemoryDisk.Call.Kind]>([])
    disk.injectFaults { call in
      guard call.path == path else { return nil }
      let isFirst = calls.withLock { calls in
        defer { calls.append(call.kind) }
        return !calls.contains(.sync)
      }
      return fails && isFirst && call.kind == .sync
        ? StoreError(.internal, "input/output error") : nil
    }
    let store = try await openStore(disk)
    let phase = store.shell.withLock { $0.state.segments[1]?.phase }
    #expect(phase == .sealed, "the checkpoint was not found")
    for upload in 1...2 as ClosedRange<UInt64> {
      try await store.delete(ChunkID(group: 7, upload: upload, index: 0))
    }
    await store.upkeepAll()
    let seen = calls.withLock { $0 }
    let sync = try #require(seen.firstIndex(of: .sync))
    #expect(seen.count { $0 == .sync } == 1, "once is enough, and no other would do")
    let punch = seen.firstIndex(of: .punch)
    #expect(fails ? punch == nil : punch.map { $0 > sync } == true)
    disk.crash()
    let again = try await openStore(disk)
    #expect(try await again.load(upload: 3) == pattern(200_000, seed: 3))
    #expect(await code { _ = try await again.load(upload: 1) } == .deleted)
  }

  @Test("a file with the last number there is doesn't keep the store from opening and writing")
  func lastNumber() async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    try await first.store(pattern(5_000, seed: 1), upload: 1)
    await first.close()
    for name in ["ffffffff", "fffffffe"] {
      let path = "\(StorePaths.segments)/\(name).segment"
      await (try await disk.create(path, reserving: 0, direct: false)).close()
    }
    let again = try await openStore(disk)
    try await again.store(pattern(5_000, seed: 2), upload: 2)
    #expect(try await again.load(upload: 1) == pattern(5_000, seed: 1))
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
