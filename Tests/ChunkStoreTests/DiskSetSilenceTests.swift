import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("A disk that doesn't answer")
struct DiskSetSilenceTests {
  /// The disks that chunks of some uploads would go to.
  private static func places(
    of uploads: ClosedRange<UInt64>, in set: DiskSet
  ) throws -> Set<Int> {
    Set(try uploads.map { set.place(for: try newChunk($0, bytes: [1])) })
  }

  @Test(
    "one on which syncs hang, though it tells its room, gets no new chunks until it answers again")
  func hungSyncs() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let clock = HandClock()
    let set = try await openSet(disks, clock: clock)
    let both = try await set.statistics().capacityBytes
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await set.run() }
      while set.answers.withLock({ !$0.areAsked }) { await Task.yield() }
      let (gate, opening) = AsyncStream.makeStream(of: Void.self)
      disks[0].injectDelays { call in
        guard call.kind == .sync else { return }
        for await _ in gate {}
      }
      for upload in 1...20 as ClosedRange<UInt64> {
        group.addTask { try await set.store([1], upload: upload) }
      }
      while !set.disks[0].store.isSilent {
        clock.pass(seconds: 5)
        await Task.yield()
      }
      #expect(try await set.statistics().capacityBytes == both / 2)
      #expect(try Self.places(of: 100...140, in: set) == [1])
      for upload in 100...110 as ClosedRange<UInt64> {
        try await set.store([1], upload: upload)
        #expect(set.places(of: upload) == [1])
      }
      opening.finish()
      while try await set.statistics().capacityBytes != both { await Task.yield() }
      #expect(try Self.places(of: 100...140, in: set) == [0, 1])
      group.cancelAll()
    }
  }

  @Test("a chunk that such a disk has is put to another one, which finds that it is there")
  func knownChunk() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let clock = HandClock()
    let set = try await openSet(disks, clock: clock)
    var upload = UInt64(1)
    try await set.store([1], upload: upload)
    while set.places(of: upload) != [0] {
      upload += 1
      try await set.store([1], upload: upload)
    }
    let watch = try #require(set.disks[0].store.disk as? WatchedDisk).watch
    await withTaskGroup(of: Void.self) { group in
      let (gate, opening) = AsyncStream.makeStream(of: Void.self)
      group.addTask {
        try? await watch.call { () async throws(StoreError) in for await _ in gate {} }
      }
      while !set.disks[0].store.isSilent {
        clock.pass(seconds: 5)
        await Task.yield()
      }
      let again = await code { try await set.store([1], upload: upload) }
      #expect(again == nil)
      #expect(set.places(of: upload) == [0])
      opening.finish()
    }
    #expect(!set.disks[0].store.isSilent)
  }

  @Test("a disk is silent once its oldest call waits for longer than half a minute, and only then")
  func calls() {
    var calls = CallsUnderWay()
    func areSilent(after seconds: UInt64) -> Bool { calls.areSilent(at: seconds * 1_000_000_000) }
    #expect(!areSilent(after: 0))
    let first = calls.begin()
    let other = calls.begin()
    #expect(!areSilent(after: 100))
    #expect(!areSilent(after: 130))
    #expect(areSilent(after: 131))
    // Others are answered meanwhile.
    calls.end(other)
    #expect(areSilent(after: 131))
    let later = calls.begin()
    calls.end(first)
    #expect(!areSilent(after: 132))
    #expect(areSilent(after: 163))
    calls.end(later)
    #expect(!areSilent(after: 163))
  }
}
