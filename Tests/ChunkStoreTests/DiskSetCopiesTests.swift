import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Chunks that are on two disks since one failed")
struct DiskSetCopiesTests {
  private static let uploads = 1...12 as ClosedRange<UInt64>

  /// Two disks, of which the first one failed, and works again: its chunks are on both.
  private static func twice(
    _ disks: [MemoryDisk], clock: HandClock = HandClock()
  ) async throws -> (set: DiskSet, uploads: [UInt64]) {
    let set = try await openSet(disks, clock: clock)
    for upload in uploads { try await set.store(pattern(3_000, seed: upload), upload: upload) }
    set.disks[0].store.countAsFailing()
    _ = try await set.statistics()
    await set.drain()
    clock.pass(seconds: 4_000)
    let twice = uploads.filter { set.places(of: $0) == [0, 1] }
    #expect(!twice.isEmpty && !set.disks[0].store.isFailing)
    return (set, twice)
  }

  private static func check(_ set: DiskSet) async throws {
    for upload in uploads {
      #expect(try await set.load(upload: upload) == pattern(3_000, seed: upload))
    }
  }

  @Test("they are counted once, and one copy goes when the disk works again")
  func once() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let (set, twice) = try await Self.twice(disks)
    #expect(try await set.statistics().chunks == 12)
    #expect(try await set.statistics().usedBytes == 36_000)
    await set.endCopies()
    for upload in twice { #expect(set.places(of: upload).count == 1) }
    #expect(try await set.statistics().chunks == 12)
    #expect(try await set.statistics().usedBytes == 36_000)
    for disk in disks { disk.crash() }
    let again = try await openSet(disks)
    for upload in twice { #expect(again.places(of: upload).count == 1) }
    try await Self.check(again)
  }

  @Test("they are counted once also in a later round, while some are deleted")
  func counted() async throws {
    let set = try await openSet([MemoryDisk(), MemoryDisk()])
    for upload in Self.uploads {
      try await set.store(pattern(3_000, seed: upload), upload: upload)
    }
    set.disks[0].store.countAsFailing()
    for _ in 1...3 {
      await set.drain()
      #expect(try await set.statistics().chunks == 12)
    }
    try await set.delete(.test(1))
    try await set.delete(.test(2))
    await set.drain()
    #expect(try await set.statistics().chunks == 10)
    #expect(try await set.statistics().usedBytes == 30_000)
  }

  @Test("the disk that works again gives its copies up, while the node runs")
  func running() async throws {
    let clock = HandClock()
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks, clock: clock)
    for upload in Self.uploads {
      try await set.store(pattern(3_000, seed: upload), upload: upload)
    }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await set.run() }
      set.disks[0].store.countAsFailing()
      while !Self.uploads.allSatisfy({ set.isSafe(.test($0)) }) { await Task.yield() }
      clock.pass(seconds: 4_000)
      while !Self.uploads.allSatisfy({ set.places(of: $0).count == 1 }) { await Task.yield() }
      group.cancelAll()
    }
    try await Self.check(set)
  }

  @Test(
    "a copy stays where the other one is damaged, be it only on the disk and not in memory",
    arguments: [true, false])
  func damaged(isKnown: Bool) async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let (set, twice) = try await Self.twice(disks)
    for upload in twice {
      let place = try #require(set.disks[1].store.place(upload: upload))
      let path = StorePaths.segment(place.segment)
      guard isKnown else {
        let other = try #require(twice.first == upload ? upload : nil)
        disks[1].rot(path) { $0[place.offset + 2_000] ^= 1 }
        #expect(try await set.disks[1].store.load(upload: other) == pattern(3_000, seed: other))
        break
      }
      disks[1].corrupt(path) { $0[place.offset + 2_000] ^= 1 }
    }
    await set.endCopies()
    for upload in isKnown ? twice : Array(twice.prefix(1)) {
      #expect(set.places(of: upload).contains(0))
    }
    try await Self.check(set)
  }

  @Test("a copy stays where the other one may not last", arguments: [0, 1, 2, 3])
  func doubtful(way: Int) async throws {
    let (set, twice) = try await Self.twice([MemoryDisk(), MemoryDisk()])
    let store = set.disks[1].store
    let upload = try #require(twice.first)
    let place = try #require(store.place(upload: upload))
    switch way {
    case 0: store.countAsFailing()
    case 1: store.fail(place.segment, StoreError(.internal, "input/output error"))
    case 2:
      let kill = RecordKill(id: .test(upload), place: place, deletedAt: 1)
      store.shell.withLock { $0.state.lose(.deletion(kill)) }
    default:
      store.shell.withLock { shell in
        shell.state.ghosts[.test(upload)] = [RecordPlace(segment: place.segment, unit: 1)]
      }
    }
    await set.endCopies()
    #expect(set.places(of: upload).contains(0))
  }

  @Test("both stay where they don't say the same")
  func different() async throws {
    let (set, twice) = try await Self.twice([MemoryDisk(), MemoryDisk()])
    let upload = try #require(twice.first)
    try await set.disks[1].store.delete(.test(upload))
    _ = try await set.disks[1].store.store(pattern(3_000, seed: 99), upload: upload)
    await set.endCopies()
    #expect(set.places(of: upload) == [0, 1])
    #expect(try await set.statistics().chunks == 12)
  }

  @Test("it is looked for at first, when the disk works again, and once an hour")
  func timer() {
    var timer = DiskSet.CopyTimer()
    func isDue(_ works: Bool, after seconds: UInt64) -> Bool {
      timer.isDue(works: works, at: seconds * 1_000_000_000)
    }
    #expect(isDue(true, after: 0))
    #expect(!isDue(true, after: 10))
    #expect(!isDue(false, after: 20))
    #expect(isDue(true, after: 30))
    #expect(!isDue(true, after: 3_629))
    #expect(isDue(true, after: 3_630))
  }
}
