import NIOCore
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Deletions that are remembered")
struct DeletionTests {
  private static func id(_ upload: UInt64) -> ChunkID {
    ChunkID(group: 7, upload: upload, index: 0)
  }

  @Test("a chunk is known to be deleted though the segments that it was in and died in are gone")
  func outlivesSegments() async throws {
    let disk = MemoryDisk()
    var store = try await openStore(disk, segmentBytes: 128 << 10)
    for upload in 1...6 as ClosedRange<UInt64> {
      try await store.store(pattern(9_000, seed: upload), upload: upload)
    }
    var old = try #require(store.place(upload: 1)).segment
    await store.close()
    for _ in 1...3 {
      store = try await openStore(disk, segmentBytes: 128 << 10)
      if await code({ _ = try await store.load(upload: 1) }) == nil {
        try await store.delete(Self.id(1))
      }
      try await store.store(pattern(500, seed: 7), upload: UInt64(old) + 100)
      await store.close()
      store = try await openStore(disk, segmentBytes: 128 << 10)
      await store.compact(old)
      #expect(disk.contents(of: StorePaths.segment(old)) == nil)
      old = try #require(store.shell.withLock { $0.state.segments.keys.min() })
      #expect(await code { _ = try await store.load(upload: 1) } == .deleted)
      disk.crash()
    }
    store = try await openStore(disk, segmentBytes: 128 << 10)
    #expect(await code { _ = try await store.load(upload: 1) } == .deleted)
    #expect(await code { try await store.delete(Self.id(1)) } == .deleted)
    #expect(try await store.load(upload: 2) == pattern(9_000, seed: 2))
    store.shell.withLock { $0.state.checkInvariants() }
  }

  @Test("a deletion is forgotten after a week, and its record goes")
  func expiry() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store([1], upload: 1)
    try await store.delete(Self.id(1))
    await store.close()
    let soon = try await openStore(
      disk, clock: StillClock(wallSeconds: StillClock().wallSeconds + 6 * 24 * 3_600))
    await soon.upkeepAll()
    #expect(await code { _ = try await soon.load(upload: 1) } == .deleted)
    await soon.close()
    let late = try await openStore(
      disk, clock: StillClock(wallSeconds: StillClock().wallSeconds + 8 * 24 * 3_600))
    await late.upkeepAll()
    #expect(await code { _ = try await late.load(upload: 1) } == .notFound)
    #expect(late.shell.withLock { $0.state.segments.isEmpty })
  }

  @Test("a chunk that is put again is no longer deleted, and can be deleted again")
  func putAgain() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for round in 1...2 as ClosedRange<UInt64> {
      try await store.store(pattern(900, seed: round), upload: 1)
      #expect(try await store.load(upload: 1) == pattern(900, seed: round))
      try await store.delete(Self.id(1))
      #expect(await code { _ = try await store.load(upload: 1) } == .deleted)
    }
    try await store.store([3], upload: 1)
    await store.close()
    let again = try await openStore(disk)
    #expect(try await again.load(upload: 1) == [3])
    again.shell.withLock { $0.state.checkInvariants() }
  }

  @Test("of more deletions than are remembered the oldest segment's are forgotten")
  func bound() {
    var limits = StoreState.Limits(segmentBytes: 1 << 20)
    limits.maxDeletions = 5
    var state = StoreState(limits: limits, index: ChunkIndex(hashSeed: 1))
    for number in 1...2 as ClosedRange<UInt32> {
      state.segments[number] = Segment(
        number: number, phase: .sealed, capacity: 1 << 20, reserved: 1 << 20, end: 1 << 20,
        diskBytes: 1 << 20)
    }
    let kills = (1...6 as ClosedRange<UInt64>).map {
      RecordKill(id: Self.id($0), place: RecordPlace(segment: 9, unit: UInt32($0)), deletedAt: 5)
    }
    for (place, kill) in kills.enumerated() {
      state.rememberDeletion(kill, in: place < 2 ? 1 : 2)
      state.checkInvariants()
    }
    #expect(kills.map { state.deleted[$0.id] != nil } == [false, false, true, true, true, true])
  }

  @Test(
    "a large chunk's room comes back when it is deleted, but not from under a reader",
    arguments: [true, false])
  func punching(isSealed: Bool) async throws {
    let disk = MemoryDisk()
    let bytes = pattern(1 << 20, seed: 1)
    var store = try await openStore(disk)
    try await store.store(bytes, upload: 1)
    if isSealed {
      await store.close()
      store = try await openStore(disk)
    }
    let reader = try await store.openChunk(ChunkID(group: 7, upload: 1, index: 0))
    try await store.delete(ChunkID(group: 7, upload: 1, index: 0))
    let before = try await disk.space().freeBytes
    let last = try await reader.read(blocks: 15..<16)
    #expect(Array(last.bytes.readableBytesView) == Array(bytes[983_040...]))
    #expect(try await disk.space().freeBytes == before)
    await reader.close()
    await store.upkeepAll()
    let free = try await disk.space().freeBytes
    #expect(free >= before + 1_000_000)
    // It stays free while its segment grows, or another is begun.
    let files = disk.fileBytes
    for upload in 2...3 as ClosedRange<UInt64> { try await store.store(bytes, upload: upload) }
    #expect(disk.fileBytes >= files + 2_000_000)
    #expect(try await disk.space().freeBytes + UInt64(disk.fileBytes - files) >= free)
    disk.crash { _ in true }
    #expect(try await StoreCheck.run(on: disk).isSound)
    let again = try await openStore(disk)
    #expect(await again.takeProblems().isEmpty)
    #expect(await code { _ = try await again.load(upload: 1) } == .deleted)
    #expect(try await again.load(upload: 2) == bytes)
  }
}

@Suite("A copy that mends a chunk")
struct MendingTests {
  private let id = ChunkID(group: 7, upload: 1, index: 0)

  @Test(
    "replaces a damaged one, and doesn't bring back what was deleted meanwhile",
    arguments: [5_000, 300_000])
  func mends(length: Int) async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    let bytes = pattern(length, seed: 1)
    let record = try await store.store(bytes, upload: 1)
    let place = try #require(store.place(upload: 1))
    disk.corrupt(StorePaths.segment(place.segment)) { $0[place.offset + length / 2] ^= 1 }
    #expect(await code { _ = try await store.load(upload: 1) } == .dataLoss)

    let copy = try await store.beginPut(record.chunk)
    try await copy.append(ByteBuffer(bytes: bytes))
    _ = try await copy.mend(checksum: record.checksum)
    #expect(try await store.load(upload: 1) == bytes)

    let late = try await store.beginPut(record.chunk)
    try await late.append(ByteBuffer(bytes: bytes))
    try await store.delete(id)
    #expect(await code { _ = try await late.mend(checksum: record.checksum) } == .deleted)
    await late.cancel()
    #expect(await code { _ = try await store.load(upload: 1) } == .deleted)
  }
  @Test(
    "a damaged chunk is not replaced by other content", arguments: [5_000, 300_000], [false, true])
  func otherContent(length: Int, isOnOtherDisk: Bool) async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    let bytes = pattern(length, seed: 1)
    try await set.store(bytes, upload: 1)
    let holder = try #require(set.places(of: 1).first)
    let place = try #require(set.disks[holder].store.place(upload: 1))
    disks[holder].corrupt(StorePaths.segment(place.segment)) { $0[place.offset + length / 2] ^= 1 }
    if isOnOtherDisk { set.disks[holder].store.countAsFailing() }
    let longer = pattern(length + 1, seed: 1)
    #expect(await code { try await set.store(longer, upload: 1) } == .alreadyExists)
    let other = pattern(length, seed: 2)
    #expect(await code { try await set.store(other, upload: 1) } == .alreadyExists)
    #expect(await code { _ = try await set.load(upload: 1) } == .dataLoss)
    try await set.store(bytes, upload: 1)
    #expect(try await set.load(upload: 1) == bytes)
  }

  @Test("of a chunk whose header is damaged the length is still known", arguments: [false, true])
  func otherLength(isOnOtherDisk: Bool) async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    try await set.store(pattern(5_000, seed: 1), upload: 1)
    let holder = try #require(set.places(of: 1).first)
    let place = try #require(set.disks[holder].store.place(upload: 1))
    disks[holder].corrupt(StorePaths.segment(place.segment)) { $0[place.offset + 40] ^= 1 }
    if isOnOtherDisk { set.disks[holder].store.countAsFailing() }
    #expect(
      await code { try await set.store(pattern(5_001, seed: 1), upload: 1) } == .alreadyExists)
    try await set.store(pattern(5_000, seed: 1), upload: 1)
    #expect(try await set.load(upload: 1) == pattern(5_000, seed: 1))
  }
}
