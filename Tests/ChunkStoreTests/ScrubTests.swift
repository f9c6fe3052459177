import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Verification of a chunk store")
struct ScrubTests {
  private static let day: UInt64 = 24 * 3_600

  /// Verifies all that is due.
  private func verifyAll(_ store: SegmentStore) async throws {
    await store.upkeepAll()
    while let number = store.segmentToScrub() { try await store.scrub(number) }
  }

  @Test("what was just written is verified within the deadline, though its segment never gets full")
  func youngSegment() async throws {
    let disk = MemoryDisk()
    let clock = HandClock()
    let store = try await openStore(disk, clock: clock)
    try await store.store(pattern(9_000, seed: 1), upload: 1)
    let place = try #require(store.place(upload: 1))
    disk.corrupt(StorePaths.segment(place.segment)) { $0[place.offset + 5_000] ^= 1 }
    try await verifyAll(store)
    #expect(await store.damagedChunks().isEmpty)
    clock.pass(seconds: 7 * Self.day)
    try await verifyAll(store)
    #expect(await store.damagedChunks() == [.test(1)])
    try await store.store(pattern(9_000, seed: 2), upload: 2)
    #expect(store.place(upload: 2)?.segment != place.segment)
  }

  @Test("a store that nobody writes to makes no segments as time passes")
  func idle() async throws {
    let disk = MemoryDisk()
    let clock = HandClock()
    let store = try await openStore(disk, clock: clock)
    try await store.store([1], upload: 1)
    for _ in 1...10 {
      clock.pass(seconds: 7 * Self.day)
      try await verifyAll(store)
    }
    #expect(disk.files.filter { $0.hasSuffix(".segment") }.count == 1)
  }

  @Test("a segment with a damaged chunk does not pass for whole; after a restart it is the first")
  func damaged() async throws {
    let disk = MemoryDisk()
    for upload in 1...3 as ClosedRange<UInt64> {
      let store = try await openStore(disk)
      try await store.store(pattern(9_000, seed: upload), upload: upload)
      await store.close()
    }
    disk.corrupt(StorePaths.segment(2)) { $0[4_096 + 5_000] ^= 1 }
    let store = try await openStore(disk)
    try await verifyAll(store)
    #expect(await store.damagedChunks() == [.test(2)])
    await store.close()
    let check = try await StoreCheck.run(on: disk)
    #expect(check.segments == 3 && check.verifiedSegments == 2)
    let again = try await openStore(disk)
    #expect(await again.damagedChunks().isEmpty)
    #expect(again.segmentToScrub() == 2)
  }

  @Test("a segment that can't be emptied is verified, too")
  func stuck() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for upload in 1...3 as ClosedRange<UInt64> {
      try await store.store(pattern(9_000, seed: upload), upload: upload)
    }
    disk.crash()
    // A bad sector in the first record, by which the segment stays as it is.
    disk.injectFaults {
      $0.kind == .read && $0.path == StorePaths.segment(1)
        && $0.range?.overlaps(4_096..<4_608) ?? false
        ? StoreError(.internal, "input/output error") : nil
    }
    let again = try await openStore(disk)
    let place = try #require(again.place(upload: 2))
    await again.upkeepAll()
    #expect(place.segment == 1 && again.place(upload: 2) == place)
    disk.corrupt(StorePaths.segment(1)) { $0[place.offset + 5_000] ^= 1 }
    try await verifyAll(again)
    #expect(await again.damagedChunks() == [.test(2)])
  }

  @Test(
    "a checkpoint that rots is told of, and its segment doesn't pass for whole", arguments: 0...2)
  func checkpoint(part: Int) async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    try await first.store(pattern(9_000, seed: 1), upload: 1)
    await first.close()
    let store = try await openStore(disk)
    try await store.delete(.test(1))
    try await store.store(pattern(9_000, seed: 2), upload: 2)
    let number = try #require(store.place(upload: 2)?.segment)
    store.shell.withLock { $0.state.retire() }
    #expect(await store.upkeep())
    let path = StorePaths.segment(number)
    let size = try #require(disk.contents(of: path)).count
    let footer = try #require(
      try await SegmentRecovery.footer(
        of: try await disk.open(path), number: number, fileBytes: size))
    let offset = [0, footer.entriesRange.lowerBound, footer.killsRange.lowerBound][part]
    disk.corrupt(path) { file in
      for copy in Set([0, part == 0 ? SegmentHeader.bytes / 2 : 0]) { file[offset + copy] ^= 1 }
    }
    try await store.scrub(number)
    let problems = await store.takeProblems()
    #expect(problems.contains { $0.path == path }, "\(problems)")
    #expect(await ScrubLog.read(on: disk).verifiedAt[number] == nil)
  }

  @Test("a segment that can't be opened is not tried over and over")
  func unopened() async throws {
    let disk = MemoryDisk()
    for upload in 1...2 as ClosedRange<UInt64> {
      let store = try await openStore(disk)
      try await store.store([1], upload: upload)
      await store.close()
    }
    disk.injectFaults {
      $0.kind == .open && $0.path == StorePaths.segment(1)
        ? StoreError(.internal, "input/output error") : nil
    }
    let store = try await openStore(disk)
    #expect(store.segmentToScrub() == 2)
    try await store.scrub(2)
    #expect(store.segmentToScrub() == nil)
  }

  @Test("what may be in the system's memory alone is not forgotten there")
  func inDoubt() {
    var segment = Segment(
      number: 1, phase: .failed, capacity: 1 << 20, reserved: 1 << 20, end: 8_192, diskBytes: 8_192)
    segment.liveBytes = 100
    #expect(segment.mayBeScrubbed)
    segment.doubt = Segment.Doubt(entries: [], kills: [], needed: [])
    #expect(!segment.mayBeScrubbed)
  }

  @Test("the disk is read, not what the system has in memory of it")
  func forgetting() async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    try await first.store(pattern(9_000, seed: 1), upload: 1)
    await first.close()
    let store = try await openStore(disk)
    #expect(try await store.load(upload: 1) == pattern(9_000, seed: 1))
    disk.rot(StorePaths.segment(1)) { $0[4_096 + 5_000] ^= 1 }
    #expect(try await store.load(upload: 1) == pattern(9_000, seed: 1))
    try await verifyAll(store)
    #expect(await store.damagedChunks() == [.test(1)])
  }

  @Test(
    "it reads as fast as the deadline needs, and not faster, but 1 MiB a second at least",
    arguments: [(deadline: 8, takes: 4.0), (deadline: 4, takes: 2.0), (deadline: 800, takes: 8.0)])
  func speed(deadline: Int64, takes: Double) async throws {
    let clock = JumpingClock()
    let store = try await openStore(
      MemoryDisk(), segmentBytes: 32 << 20, scrubDeadline: .seconds(deadline),
      clock: clock)
    for upload in 1...8 as ClosedRange<UInt64> {
      try await store.store(pattern(1 << 20, seed: upload), upload: upload)
    }
    store.shell.withLock { $0.state.retire() }
    await store.upkeepAll()
    let number = try #require(store.segmentToScrub())
    let start = clock.nanoseconds
    try await store.scrub(number)
    let seconds = Double(clock.nanoseconds - start) * 1e-9
    #expect(abs(seconds - takes) < 0.05 * takes)
  }
}
