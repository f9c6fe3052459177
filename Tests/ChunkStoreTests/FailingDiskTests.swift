import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("When a disk is taken for a failing one")
struct FailingDiskTests {
  /// Fails a write of a small chunk.
  private static func failOnce(_ store: SegmentStore, _ disk: MemoryDisk, upload: UInt64) async {
    disk.injectFaults { $0.kind == .write ? StoreError(.internal, "input/output error") : nil }
    #expect(await code { try await store.store([1], upload: upload) } == .internal)
    disk.injectFaults(nil)
  }

  @Test("one that fails every write is, after three of them")
  func quickly() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk, clock: HandClock())
    for upload in 1...3 as ClosedRange<UInt64> {
      #expect(!store.isFailing)
      await Self.failOnce(store, disk, upload: upload)
    }
    #expect(store.isFailing)
  }

  @Test("one that is gone is, and that is told", arguments: [MemoryDisk.Call.Kind.space, .create])
  func gone(kind: MemoryDisk.Call.Kind) async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk, clock: HandClock())
    disk.injectFaults { $0.kind == kind ? StoreError(.notFound, "no such directory") : nil }
    for upload in 1...3 as ClosedRange<UInt64> {
      #expect(!store.isFailing)
      #expect(await code { try await store.store([1], upload: upload) } == .internal)
    }
    #expect(store.isFailing)
    #expect(await store.takeProblems().contains { $0.message.contains("no such directory") })
  }

  @Test("a lack of descriptors makes no disk a failing one")
  func descriptors() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk, clock: HandClock())
    disk.injectFaults { $0.kind == .create ? StoreError(.unavailable, "too many open files") : nil }
    for upload in 1...5 as ClosedRange<UInt64> {
      #expect(await code { try await store.store([1], upload: upload) } == .unavailable)
    }
    #expect(!store.isFailing)
  }

  @Test("one that fails a write now and then is not, however long it runs")
  func seldom() async throws {
    let disk = MemoryDisk()
    let clock = HandClock()
    let store = try await openStore(disk, clock: clock)
    for upload in 1...10 as ClosedRange<UInt64> {
      await Self.failOnce(store, disk, upload: upload)
      #expect(!store.isFailing)
      clock.pass(seconds: 2_000)
    }
  }

  @Test("one that was is tried again when nothing failed for an hour")
  func again() async throws {
    let disk = MemoryDisk()
    let clock = HandClock()
    let store = try await openStore(disk, clock: clock)
    for upload in 1...3 as ClosedRange<UInt64> {
      await Self.failOnce(store, disk, upload: upload)
    }
    clock.pass(seconds: 3_000)
    #expect(store.isFailing)
    clock.pass(seconds: 1_000)
    #expect(!store.isFailing)
    await Self.failOnce(store, disk, upload: 4)
    #expect(!store.isFailing)
  }

  @Test("what fails several chunks of one segment counts once")
  func once() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk, clock: HandClock())
    try await store.store([1], upload: 1)
    let number = try #require(store.place(upload: 1)).segment
    for _ in 1...5 { store.fail(number, StoreError(.internal, "input/output error")) }
    #expect(!store.isFailing)
  }

  @Test("a failed segment is emptied, as it says", arguments: [false, true])
  func failed(lacks: Bool) async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    store.shell.withLock { $0.state.lacksOtherDisks = lacks }
    try await store.store(pattern(9_000, seed: 1), upload: 1)
    store.fail(1, StoreError(.internal, "input/output error"))
    await store.upkeepAll()
    #expect(await store.chunksAtRisk().isEmpty)
  }
}
