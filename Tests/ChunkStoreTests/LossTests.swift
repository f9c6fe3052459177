import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("What is lost, and what is said of it")
struct LossTests {
  /// Ends the segment that new records go to with its checkpoint.
  private static func seal(_ store: SegmentStore) async {
    store.shell.withLock { $0.state.retire() }
    while let number = store.shell.withLock({ $0.state.segmentToSeal }) {
      await store.trySealing(number)
    }
  }

  /// A disk with an open segment in which the header of an acknowledged record is damaged.
  private static func broken() async throws -> MemoryDisk {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for upload in 1...4 as ClosedRange<UInt64> {
      try await store.store(pattern(9_000, seed: upload), upload: upload)
    }
    let place = try #require(store.place(upload: 2))
    disk.crash()
    disk.corrupt(StorePaths.segment(place.segment)) { $0[place.offset + 40] ^= 1 }
    return disk
  }

  /// A disk on which a chunk was deleted and then, in the same segment or the next one, stored anew, of which the header
  /// is damaged.
  private static func storedAnewAndLost(isSealedBefore: Bool) async throws -> MemoryDisk {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store(pattern(9_000, seed: 1), upload: 1)
    try await store.delete(.test(1))
    if isSealedBefore { await seal(store) }
    try await store.store(pattern(9_000, seed: 1), upload: 1)
    let place = try #require(store.place(upload: 1))
    for upload in 2...4 as ClosedRange<UInt64> {
      try await store.store(pattern(9_000, seed: upload), upload: upload)
    }
    disk.crash()
    disk.corrupt(StorePaths.segment(place.segment)) { $0[place.offset + 40] ^= 1 }
    return disk
  }

  @Test("compaction must not make an old deletion younger than a loss", arguments: [0, 1])
  func compactedDeletion(kind: Int) async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store(pattern(9_000, seed: 1), upload: 1)
    await Self.seal(store)
    for upload in 100..<130 as Range<UInt64> {
      try await store.store(pattern(20_000, seed: upload), upload: upload)
    }
    try await store.delete(.test(1))
    for upload in 100..<130 as Range<UInt64> { try await store.delete(.test(upload)) }
    await Self.seal(store)
    try await store.store(pattern(9_000, seed: 1), upload: 1)
    let place = try #require(store.place(upload: 1))
    #expect(place.segment == 3)
    await store.close()
    let path = StorePaths.segment(3)
    if kind == 0 {
      try await disk.remove(path)
    } else {
      disk.injectFaults { $0.path == path ? StoreError(.internal, "input/output error") : nil }
    }
    let again = try await openStore(disk)
    let before = await code { _ = try await again.load(upload: 1) }
    #expect(before == (kind == 0 ? .notFound : .internal))
    await again.upkeepAll()
    let after = await code { _ = try await again.load(upload: 1) }
    #expect(after == before)
  }

  @Test("the second start must not say deleted of what a marked segment lost")
  func secondStart() async throws {
    let disk = try await Self.storedAnewAndLost(isSealedBefore: true)
    for life in 0..<3 {
      let again = try await openStore(disk)
      #expect(await code { _ = try await again.load(upload: 1) } == .notFound, "life \(life)")
      await again.close()
    }
  }

  @Test("deleted and stored anew in the same segment, the latter lost")
  func sameSegment() async throws {
    let disk = try await Self.storedAnewAndLost(isSealedBefore: false)
    let again = try await openStore(disk)
    #expect(await code { _ = try await again.load(upload: 1) } == .notFound)
  }

  @Test(
    "what ended records of a segment that is gone is kept, whatever stands in its place",
    arguments: [false, true])
  func directoryInPlace(isDirectory: Bool) async throws {
    let clock = StillClock()
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store(pattern(9_000, seed: 1), upload: 1)
    await Self.seal(store)
    for upload in 100..<130 as Range<UInt64> {
      try await store.store(pattern(20_000, seed: upload), upload: upload)
    }
    try await store.delete(.test(1))
    for upload in 100..<130 as Range<UInt64> { try await store.delete(.test(upload)) }
    await store.close()
    let kept = try #require(disk.contents(of: StorePaths.segment(1)))
    try await disk.remove(StorePaths.segment(1))
    if isDirectory { try await disk.makeDirectory(StorePaths.segment(1)) }
    for life in 0..<2 {
      var later = clock
      // The deletions are more than a week old by then.
      later.wallSeconds += 20 * 24 * 3_600
      let again = try await openStore(disk, clock: life == 0 ? clock : later)
      if life == 1 { await again.upkeepAll() }
      await again.close()
    }
    // The directory is taken away, and the file that was found again put back.
    disk.corrupt(StorePaths.segment(1)) { $0 = kept }
    let again = try await openStore(disk)
    let found = await code { _ = try await again.load(upload: 1) }
    #expect(found != nil, "deleted chunk is back: \(disk.files)")
  }

  @Test("a loss is told of after a power cut while the store opens")
  func markOrder() async throws {
    for call in 1...60 {
      let disk = try await Self.broken()
      disk.stop(atCall: disk.calls + call)
      _ = try? await openStore(disk)
      disk.crash()
      let again = try await openStore(disk)
      let problems = await again.takeProblems()
      #expect(!problems.isEmpty, "call \(call)")
    }
  }

  @Test("a loss is told of after a power cut while the store opens, where nothing is in doubt")
  func markOrderNoDoubt() async throws {
    for call in 1...30 {
      let disk = try await Self.broken()
      // The last record was torn: so nothing is in doubt, and the segment gets its end at once.
      disk.corrupt(StorePaths.segment(1)) { $0[4_096 + 3 * 12_288 + 5_000] ^= 1 }
      disk.stop(atCall: disk.calls + call)
      _ = try? await openStore(disk)
      disk.crash()
      let again = try await openStore(disk)
      let problems = await again.takeProblems().map(\.message)
      #expect(problems.contains { $0.contains("lost") }, "call \(call) \(problems)")
    }
  }

  @Test("a loss whose mark can't be made is told of each time")
  func markFails() async throws {
    let disk = try await Self.broken()
    disk.injectFaults {
      $0.kind == .create && $0.path.hasSuffix(".lost")
        ? StoreError(.resourceExhausted, "no room") : nil
    }
    for life in 0..<3 {
      let store = try await openStore(disk)
      #expect(await !store.takeProblems().isEmpty, "life \(life)")
      await store.close()
      #expect(try await !StoreCheck.run(on: disk).isSound, "life \(life)")
    }
  }
}
