import NIOCore
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Chunk store on a full disk")
struct FullDiskTests {
  /// Opens a store whose reserve is a quarter of a segment.
  private static func open(_ disk: any Disk) async throws -> SegmentStore {
    try await openStore(
      disk, segmentBytes: 1 << 20, maxReserveBytes: 256 << 10, compactionRunBytes: 256 << 10)
  }

  /// Stores chunks until the disk is full: by one writer, or by many, whose records are packed.
  private static func fill(
    _ store: SegmentStore, length: Int, writers: Int = 1
  ) async throws -> [UInt64] {
    try await withThrowingTaskGroup(of: [UInt64].self) { group in
      for writer in 1...writers {
        group.addTask {
          var stored: [UInt64] = []
          while true {
            let upload = UInt64(writer * 10_000 + stored.count)
            let outcome = await code {
              try await store.store(pattern(length, seed: upload), upload: upload)
            }
            if outcome == .resourceExhausted { return stored }
            try #require(outcome == nil)
            stored.append(upload)
          }
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }.sorted()
    }
  }

  @Test(
    "a disk that is full of chunks, with a reserve much smaller than a segment, is emptied and used again",
    arguments: [(3_000, 1), (9_000, 1), (90_000, 1), (9_000, 16), (90_000, 16)])
  func smallReserve(length: Int, writers: Int) async throws {
    let disk = MemoryDisk(capacityBytes: 12 << 20)
    let store = try await Self.open(disk)
    let stored = try await Self.fill(store, length: length, writers: writers)
    try #require(stored.count * length > 6 << 20)
    for upload in stored where upload % 3 != 0 {
      let outcome = await code {
        try await store.delete(ChunkID(group: 7, upload: upload, index: 0))
      }
      try #require(outcome == nil)
    }
    await store.upkeepAll()
    let free = Int(try await store.statistics().freeBytes)
    #expect(free > stored.count * length / 2)
    for number in 1...UInt64(free / 2 / (length + 4_096)) {
      let upload = 1_000_000 + number
      try await store.store(pattern(length, seed: upload), upload: upload)
    }
    #expect(store.shell.withLock { $0.state.hasReserve })
    #expect(store.leftovers().isEmpty)
    disk.crash()
    let again = try await Self.open(disk)
    for upload in stored {
      if upload % 3 == 0 {
        #expect(try await again.load(upload: upload) == pattern(length, seed: upload))
      } else {
        #expect(await code { _ = try await again.load(upload: upload) } == .deleted)
      }
    }
  }

  @Test("a disk with no block left removes a segment, though the list of segments needs one")
  func listWithoutRoom() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store(pattern(9_000, seed: 1), upload: 1)
    let number = try #require(store.place(upload: 1)?.segment)
    await store.close()
    let next = try await openStore(disk)
    try await next.store([2], upload: 2)
    try await next.delete(ChunkID(group: 7, upload: 1, index: 0))
    let hasRoom = Mutex(false)
    disk.injectFaults { call in
      if call.kind == .truncate, call.path == StorePaths.segment(number) {
        hasRoom.withLock { $0 = true }
      }
      guard call.kind == .create, call.path.hasPrefix(SegmentList.path) else { return nil }
      return hasRoom.withLock { $0 } ? nil : StoreError(.resourceExhausted, "no space left")
    }
    await next.upkeepAll()
    #expect(disk.contents(of: StorePaths.segment(number)) == nil)
    disk.crash()
    let last = try await openStore(disk)
    #expect(await last.takeProblems().isEmpty)
    #expect(try await last.load(upload: 2) == [2])
    #expect(await code { _ = try await last.load(upload: 1) } == .deleted)
  }

  @Test("where the reserve can't become a segment it stays the reserve")
  func reserveStays() async throws {
    let disk = MemoryDisk(capacityBytes: 4 << 20)
    let store = try await Self.open(disk)
    let stored = try await Self.fill(store, length: 9_000)
    disk.injectFaults { call in
      call.path.hasPrefix(SegmentList.path) && call.kind == .create
        ? StoreError(.resourceExhausted, "no space left") : nil
    }
    var refused = 0
    for upload in stored.prefix(20) {
      if await code({
        try await store.delete(ChunkID(group: 7, upload: upload, index: 0))
      }) == .resourceExhausted {
        refused += 1
      }
    }
    disk.injectFaults(nil)
    #expect(refused > 0)
    #expect(disk.contents(of: StorePaths.reserve) != nil)
    #expect(store.shell.withLock { $0.state.hasReserve })
    for upload in stored.prefix(20) {
      let outcome = await code {
        try await store.delete(ChunkID(group: 7, upload: upload, index: 0))
      }
      #expect(outcome == nil || outcome == .deleted)
    }
    #expect(store.leftovers().isEmpty)
  }

  /// Counts what has ended.
  private final class Count: Sendable {
    private let value = Mutex(0)
    var now: Int { value.withLock { $0 } }
    func up() { value.withLock { $0 += 1 } }
  }

  @Test(
    "upkeep ends where a segment can't be emptied for lack of room, and leaves the reserve to deletions",
    arguments: [1 << 20, 200_000])
  func noRoomToEmpty(length: Int) async throws {
    let disk = MemoryDisk(capacityBytes: 64 << 20)
    let clock = HandClock()
    let store = try await openStore(disk, maxReserveBytes: 256 << 10, clock: clock)
    // Each record fits into the reserve, or none does; all together don't.
    for upload in 1...3 as ClosedRange<UInt64> {
      try await store.store(pattern(length, seed: upload), upload: upload)
    }
    disk.injectFaults {
      $0.kind == .sync && $0.path == StorePaths.segment(1)
        ? StoreError(.internal, "input/output error") : nil
    }
    #expect(await code { try await store.store([4], upload: 4) } == .internal)
    disk.injectFaults(nil)
    disk.capacityBytes -= Int(try await disk.space().freeBytes)
    var rounds = 0
    while rounds < 100, await store.upkeep() { rounds += 1 }
    #expect(rounds < 100)
    // Nor when it looks again at what failed.
    for _ in 1...3 {
      clock.pass(seconds: 61)
      while rounds < 100, await store.upkeep() { rounds += 1 }
      #expect(rounds < 100)
      #expect(store.shell.withLock { $0.state.hasReserve }, "the reserve is used up")
    }
    for upload in 1...3 as ClosedRange<UInt64> {
      #expect(try await store.load(upload: upload) == pattern(length, seed: upload))
    }
    for upload in 1...3 as ClosedRange<UInt64> {
      try await store.delete(ChunkID(group: 7, upload: upload, index: 0))
    }
    await store.upkeepAll()
    #expect(disk.contents(of: StorePaths.segment(1)) == nil, "its room is not back")
    #expect(store.leftovers().isEmpty)
  }

  @Test("a deletion that waits for room ends when it is cancelled")
  func cancelled() async throws {
    let disk = MemoryDisk(capacityBytes: 4 << 20)
    let store = try await Self.open(disk)
    let stored = try await Self.fill(store, length: 9_000)
    disk.injectFaults { call in
      [.create, .reserve, .rename].contains(call.kind)
        ? StoreError(.resourceExhausted, "no space left") : nil
    }
    // Who needs room waits for whoever makes some.
    await store.turns.take(.upkeep)
    let ended = Count()
    await withTaskGroup(of: StoreError.Code?.self) { group in
      for upload in stored {
        group.addTask {
          let outcome = await code {
            try await store.delete(ChunkID(group: 7, upload: upload, index: 0))
          }
          ended.up()
          return outcome
        }
      }
      while ended.now < stored.count,
        store.turns.waiters(for: .upkeep) == 0
      {
        await Task.yield()
      }
      #expect(ended.now < stored.count, "nobody had to wait")
      group.cancelAll()
      store.turns.end(.upkeep)
      await group.waitForAll()
    }
    #expect(store.leftovers().isEmpty)
    disk.injectFaults(nil)
    for upload in stored where store.place(upload: upload) != nil {
      try await store.delete(ChunkID(group: 7, upload: upload, index: 0))
    }
    #expect(try await store.statistics().chunks == 0)
  }

  @Test("a segment's number is never given twice, not even after a restart without it")
  func numbers() async throws {
    let disk = MemoryDisk()
    var highest: UInt32 = 0
    for _ in 0..<4 {
      let store = try await openStore(disk)
      try await store.store(pattern(9_000, seed: 1), upload: 1)
      let number = try #require(store.place(upload: 1)?.segment)
      #expect(number > highest)
      highest = number
      try await store.delete(ChunkID(group: 7, upload: 1, index: 0))
      await store.close()
      // All its chunks are gone, and long forgotten.
      let late = StillClock(wallSeconds: StillClock().wallSeconds + 30 * 24 * 3_600)
      let next = try await openStore(disk, clock: late)
      await next.upkeepAll()
      #expect(disk.contents(of: StorePaths.segment(number)) == nil)
      await next.close()
    }
  }

  @Test("a list of segments that names absurdly many is damaged")
  func absurdList() {
    for range in ["1-4294967295", "1-2147483647", "2147483648", "9-1"] {
      let lines = "holdfast segments 2\nnext 7\n\(range)\n"
      let text = lines + "checksum \(DataDirectory.checksum(of: lines))\n"
      #expect(SegmentList(parsing: text) == nil, "\(range)")
    }
    let old = "holdfast segments 1\n1-3\n"
    let list = SegmentList(parsing: old + "checksum \(DataDirectory.checksum(of: old))\n")
    #expect(list?.numbers == [1, 2, 3])
  }

  @Test("a lack of room makes no disk a failing one, nor a segment a failed one that must be moved")
  func noRoom() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk, clock: HandClock())
    for upload in 1...3 as ClosedRange<UInt64> {
      try await store.store([1], upload: 100 + upload)
      disk.injectFaults {
        $0.kind == .write && $0.path.hasSuffix(".segment") && $0.range?.lowerBound != 0
          ? StoreError(.resourceExhausted, "no space left on device") : nil
      }
      let found = await code { try await store.store([1], upload: upload) }
      #expect(found == .resourceExhausted)
      disk.injectFaults(nil)
    }
    #expect(!store.isFailing)
  }

  @Test("a large put that was refused, or given up, takes no room")
  func refusedPuts() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk, segmentBytes: 8 << 20)
    let bytes = pattern(700_000, seed: 1)
    try await store.store(bytes, upload: 1)
    await store.upkeepAll()
    let free = try await disk.space().freeBytes
    for seed in 2...9 as ClosedRange<UInt64> {
      let other = pattern(700_000, seed: seed)
      #expect(await code { try await store.store(other, upload: 1) } == .alreadyExists)
    }
    try await store.store(bytes, upload: 1)
    let put = try await store.beginPut(try newChunk(2, bytes: bytes))
    try await put.append(ByteBuffer(bytes: bytes))
    #expect(await code { _ = try await put.finish(checksum: 1) } == .dataLoss)
    await put.cancel()
    await store.upkeepAll()
    let taken = Int(free) - Int(try await disk.space().freeBytes)
    #expect(
      taken < 2_500_000, "ten puts left \(taken) bytes taken, with what is set aside for others")
    #expect(try await store.load(upload: 1) == bytes)
    await store.close()
    #expect(try await openStore(disk).load(upload: 1) == bytes)
  }

  @Test(
    "room of deleted chunks comes back, though a segment or another disk can't be read",
    arguments: [0, 1, 2])
  func compactsBatches(lacks: Int) async throws {
    let disk = MemoryDisk(capacityBytes: 96 << 20)
    let store = try await openStore(disk, compactionRunBytes: 256 << 10)
    store.shell.withLock { shell in
      if lacks == 1 { shell.state.lacksOtherDisks = true }
      // As if one old segment of a single unreadable block had been found.
      if lacks == 2 {
        shell.state.segments[9_999] = Segment(
          number: 9_999, phase: .failed, capacity: 0, reserved: 0, end: 0, diskBytes: 0)
        shell.state.unread.insert(9_999)
      }
    }
    let bytes = pattern(60_000, seed: 1)
    var upload: UInt64 = 0
    while true {
      upload += 1
      do { try await store.store(bytes, upload: upload) } catch { break }
    }
    let count = upload - 1
    for start in stride(from: 1, through: count, by: 200) {
      await withTaskGroup(of: Void.self) { group in
        for one in start..<min(start + 200, count + 1) where one % 20 != 0 {
          group.addTask { try? await store.delete(.test(one)) }
        }
      }
    }
    await store.upkeepAll()
    var stored = 0
    for one in 0..<200 as Range<UInt64> {
      do {
        try await store.store(bytes, upload: 100_000 + one)
        stored += 1
      } catch {
        break
      }
      await store.upkeepAll()
    }
    #expect(stored == 200)
  }
}
