import NIOCore
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

/// Reads of these bytes of a file fail, as those of bad sectors do.
private func spoil(_ disk: MemoryDisk, _ path: String, _ bad: Range<Int>?) {
  disk.injectFaults { call in
    guard call.kind == .read, call.path == path, let range = call.range else { return nil }
    return bad?.overlaps(range) ?? true ? StoreError(.internal, "input/output error") : nil
  }
}

@Suite("Chunk store on bad sectors")
struct UnreadableTests {
  private static func stored(_ uploads: ClosedRange<UInt64>) async throws -> MemoryDisk {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for upload in uploads { try await store.store(pattern(9_000, seed: upload), upload: upload) }
    return disk
  }

  @Test("a bad sector in a segment that was not sealed hides nothing behind it")
  func middle() async throws {
    let disk = try await Self.stored(1...9)
    disk.crash()
    let bad = 4_096 + 3 * 12_288
    spoil(disk, StorePaths.segment(1), bad..<bad + 512)
    let store = try await openStore(disk)
    #expect(await !store.takeProblems().isEmpty)
    for upload in 1...9 as ClosedRange<UInt64> where upload != 4 {
      #expect(try await store.load(upload: upload) == pattern(9_000, seed: upload))
    }
    #expect(await code { _ = try await store.load(upload: 4) } == .internal)
    await store.upkeepAll()
    await store.close()
    disk.injectFaults(nil)
    let again = try await openStore(disk)
    for upload in 1...9 as ClosedRange<UInt64> {
      #expect(try await again.load(upload: upload) == pattern(9_000, seed: upload))
    }
  }

  @Test("a bad sector in a checkpoint, or in a segment's header, costs no chunk", arguments: 0..<4)
  func checkpoint(part: Int) async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    for upload in 1...9 as ClosedRange<UInt64> {
      try await first.store(pattern(9_000, seed: upload), upload: upload)
    }
    try await first.delete(ChunkID(group: 7, upload: 5, index: 0))
    await first.close()
    let path = StorePaths.segment(1)
    let size = try #require(disk.contents(of: path)?.count)
    let footer = size - 4_096
    let bad = [footer..<size, footer - 4_096..<footer - 3_584, 0..<512, footer - 3_896..<size][part]
    spoil(disk, path, bad)
    let store = try await openStore(disk)
    await store.upkeepAll()
    for life in [store, try await reopened(store, disk)] {
      for upload in 1...9 as ClosedRange<UInt64> where upload != 5 {
        #expect(try await life.load(upload: upload) == pattern(9_000, seed: upload))
      }
      // What was stored anew behind the deletion might not have been found.
      let found = await code { _ = try await life.load(upload: 5) }
      #expect(found == .deleted || (life === store && found == .internal))
    }
  }

  /// The store as the next process finds it, on a disk that can be read again.
  private func reopened(_ store: SegmentStore, _ disk: MemoryDisk) async throws -> SegmentStore {
    await store.close()
    disk.crash()
    disk.injectFaults(nil)
    return try await openStore(disk)
  }

  @Test(
    "a part of the disk that is gone hides little behind it, and is tried seldom",
    arguments: [64 << 10, 1 << 20])
  func region(length: Int) async throws {
    let disk = try await Self.stored(1...300)
    disk.crash()
    let bad = 500_000..<500_000 + length
    let failed = Mutex(0)
    disk.injectFaults { call in
      guard call.kind == .read, call.path == StorePaths.segment(1), let range = call.range,
        range.overlaps(bad)
      else { return nil }
      failed.withLock { $0 += 1 }
      return StoreError(.internal, "input/output error")
    }
    let store = try await openStore(disk)
    #expect((1..<40).contains(failed.withLock { $0 }))
    // A record of these takes 3 blocks of the disk.
    let places = (1...300).map { 4_096 + ($0 - 1) * 12_288 }
    for (number, place) in places.enumerated()
    where place + 12_288 <= bad.lowerBound || place >= bad.upperBound + length + 8_192 {
      let upload = UInt64(number + 1)
      #expect(try await store.load(upload: upload) == pattern(9_000, seed: upload))
    }
    #expect(places.contains { $0 >= bad.upperBound + length + 8_192 })
  }

  @Test("a bad block at the end of what is read at a time hides nothing before it")
  func windowEnd() async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    // Together, so that they stand close to each other.
    let uploads = 1...3_000 as ClosedRange<UInt64>
    try await withThrowingTaskGroup(of: Void.self) { group in
      for upload in uploads {
        group.addTask { try await first.store(pattern(500, seed: upload), upload: upload) }
      }
      try await group.waitForAll()
    }
    let places = uploads.map { (upload: $0, offset: first.place(upload: $0)?.offset ?? 0) }
    // The last block of the first window, which begins behind the segment's header.
    let bad = 1_048_576..<1_052_672
    let before = places.filter { (bad.lowerBound - 4_095..<bad.lowerBound - 700) ~= $0.offset }
    #expect(!before.isEmpty, "no record's header may reach into it")
    disk.crash()
    spoil(disk, StorePaths.segment(1), bad)
    let store = try await openStore(disk)
    for (upload, offset) in places where !bad.overlaps(offset..<offset + 700) {
      #expect(try await store.load(upload: upload) == pattern(500, seed: upload))
    }
  }

  @Test("a record that can't be read is damaged: told, asked for, and mended")
  func damaged() async throws {
    let disk = try await Self.stored(1...3)
    disk.crash()
    let store = try await openStore(disk)
    let place = try #require(store.place(upload: 2))
    spoil(disk, StorePaths.segment(1), place.offset + 4_096..<place.offset + 4_608)
    #expect(await code { _ = try await store.load(upload: 2) } == .dataLoss)
    #expect(await store.damagedChunks().map(\.upload) == [2])
    #expect(try await store.list(after: nil, limit: 9).records.map(\.chunk.id.upload) == [1, 3])
    try await store.store(pattern(9_000, seed: 2), upload: 2)
    #expect(await store.damagedChunks().isEmpty)
    #expect(try await store.load(upload: 2) == pattern(9_000, seed: 2))
  }

  @Test("a record that can be read again is no longer damaged once it was verified")
  func passing() async throws {
    let disk = try await Self.stored(1...3)
    disk.crash()
    let store = try await openStore(disk)
    spoil(disk, StorePaths.segment(1), nil)
    #expect(await code { _ = try await store.load(upload: 2) } == .dataLoss)
    disk.injectFaults(nil)
    try await store.scrub(1)
    #expect(await store.damagedChunks().isEmpty)
    #expect(await store.chunksAtRisk().isEmpty)
  }

  @Test("verification passes over a segment that can't be opened, and reads the others")
  func scrub() async throws {
    let disk = MemoryDisk()
    for upload in 1...2 as ClosedRange<UInt64> {
      let store = try await openStore(disk)
      try await store.store(pattern(9_000, seed: upload), upload: upload)
      await store.close()
    }
    let clock = StoppingClock()
    let store = try await openStore(disk, clock: clock)
    disk.injectFaults {
      $0.kind == .open && $0.path == StorePaths.segment(1)
        ? StoreError(.internal, "input/output error") : nil
    }
    await store.scrubForever()
    #expect(store.shell.withLock { $0.verifiedAt.keys.sorted() } == [2])
  }

  /// A clock whose sleepers are cancelled: nothing is left to do for them.
  private struct StoppingClock: ChunkStoreClock {
    var nanoseconds: UInt64 = 0
    var wallSeconds: Int64 = 1_767_225_600
    func sleep(until nanoseconds: UInt64) async throws { throw CancellationError() }
  }

  @Test(
    "what was deleted stays deleted though its segment could not be opened while that was moved")
  func unopened() async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    try await first.store(pattern(9_000, seed: 1), upload: 1)
    await first.close()
    let second = try await openStore(disk)
    try await second.delete(ChunkID(group: 7, upload: 1, index: 0))
    let number = try #require(second.shell.withLock { $0.state.active })
    await second.close()
    disk.injectFaults {
      $0.kind == .open && $0.path == StorePaths.segment(1)
        ? StoreError(.internal, "input/output error") : nil
    }
    // So late that the deletion is no longer remembered for its own sake.
    let late = StillClock(wallSeconds: StillClock().wallSeconds + 30 * 24 * 3_600)
    let blind = try await openStore(disk, clock: late)
    await blind.upkeepAll()
    await blind.compact(number)
    #expect(disk.contents(of: StorePaths.segment(number)) == nil)
    await blind.close()
    disk.crash()
    let again = try await openStore(disk)
    #expect(await code { _ = try await again.load(upload: 1) } == .deleted)
  }

  @Test(
    "what a record replaced stays replaced when its room was given back and its checkpoint damaged")
  func punchedAndDamaged() async throws {
    let disk = MemoryDisk()
    let id = ChunkID(group: 7, upload: 1, index: 0)
    let first = try await openStore(disk)
    try await first.store(pattern(200_000, seed: 1), upload: 1)
    let old = try #require(first.place(upload: 1))
    // The damaged one keeps the segment.
    try await first.store(pattern(9_000, seed: 5), upload: 5)
    let keeper = try #require(first.place(upload: 5))
    await first.close()
    let second = try await openStore(disk)
    disk.corrupt(StorePaths.segment(1)) {
      $0[old.offset + 5_000] ^= 1
      $0[keeper.offset + 5_000] ^= 1
    }
    #expect(await code { _ = try await second.load(upload: 1) } == .dataLoss)
    // The good copy takes the damaged one's place.
    try await second.store(pattern(200_000, seed: 1), upload: 1)
    let copy = try #require(second.place(upload: 1))
    try await second.store([2], upload: 2)
    await second.close()
    let third = try await openStore(disk)
    disk.corrupt(StorePaths.segment(1)) { $0[old.offset + 5_000] ^= 1 }
    try await third.delete(id)
    await third.punch(copy.segment)
    let bytes = try #require(disk.contents(of: StorePaths.segment(copy.segment)))
    #expect(bytes[copy.offset..<copy.offset + 4_096].allSatisfy { $0 == 0 })
    await third.close()
    disk.corrupt(StorePaths.segment(copy.segment)) { $0[$0.count - 2 * 4_096] ^= 1 }
    for _ in 0..<2 {
      let again = try await openStore(disk)
      #expect(await code { _ = try await again.load(upload: 1) } == .deleted)
      #expect(try await again.load(upload: 2) == [2])
      await again.upkeepAll()
      #expect(await code { _ = try await again.load(upload: 1) } == .deleted)
      await again.close()
      disk.crash()
    }
  }

  @Test("a check finds a damaged header in a sealed segment")
  func check() async throws {
    let disk = try await Self.stored(1...3)
    disk.restart()
    let store = try await openStore(disk)
    let place = try #require(store.place(upload: 2))
    await store.close()
    #expect(try await StoreCheck.run(on: disk).isSound)
    disk.corrupt(StorePaths.segment(1)) { $0[place.offset + 20] ^= 1 }
    let check = try await StoreCheck.run(on: disk)
    #expect(check.damaged.map(\.id) == [.test(2)])
    #expect(check.chunks == 2)
  }

  @Test("a check tells of a segment under another's name, in which nothing counts")
  func misnamed() async throws {
    let disk = try await Self.stored(1...3)
    disk.restart()
    await (try openStore(disk)).close()
    let before = try await StoreCheck.run(on: disk)
    let bytes = try #require(disk.contents(of: StorePaths.segment(1)))
    disk.corrupt(StorePaths.segment(9)) { $0 = bytes }
    let check = try await StoreCheck.run(on: disk)
    #expect(check.problems.map(\.path) == [StorePaths.segment(9)])
    #expect(before.isSound && check.chunks == 3)
    #expect(check.deadRecords == before.deadRecords)
  }

  @Test("a damaged chunk that nobody can mend costs nothing from minute to minute")
  func stuck() async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    for upload in 1...9 as ClosedRange<UInt64> {
      try await first.store(pattern(9_000, seed: upload), upload: upload)
    }
    await first.close()
    let clock = HandClock()
    let store = try await openStore(disk, clock: clock)
    let place = try #require(store.place(upload: 1))
    for upload in 2...9 as ClosedRange<UInt64> {
      try await store.store(pattern(500, seed: upload), upload: upload + 100)
      try await store.delete(ChunkID(group: 7, upload: upload, index: 0))
    }
    let number = try #require(store.place(upload: 102)?.segment)
    let bad = try #require(store.place(upload: 102))
    disk.corrupt(StorePaths.segment(bad.segment)) { $0[bad.offset + 300] ^= 1 }
    disk.corrupt(StorePaths.segment(place.segment)) { $0[place.offset + 300] ^= 1 }
    // It is to be emptied, but for what can't be.
    store.fail(number, StoreError(.internal, "input/output error"))
    await store.upkeepAll()
    #expect(store.place(upload: 102) == bad)
    let written = store.writtenBytes
    for _ in 0..<10 {
      clock.pass(seconds: 61)
      await store.upkeepAll()
    }
    #expect(store.writtenBytes == written)
    for upload in 3...9 as ClosedRange<UInt64> {
      #expect(try await store.load(upload: upload + 100) == pattern(500, seed: upload))
    }
  }
}
