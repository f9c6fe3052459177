import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("How fast compaction is")
struct CompactionSpeedTests {
  /// Bytes a second that compaction may copy here.
  private static let speed = 1 << 20
  /// The most that it copies before it waits: small records together, or a large one.
  private static let most = 512 << 10

  /// A store with one sealed segment, of small and large chunks, a third of them deleted.
  private static func store(
    on disk: MemoryDisk, clock: JumpingClock
  ) async throws -> (store: SegmentStore, segment: UInt32, liveBytes: Int) {
    let first = try await openStore(disk)
    let lengths = [9_000, 300_000, 40_000, 2_000]
    func length(_ upload: UInt64) -> Int { lengths[Int(upload) % lengths.count] }
    for upload in 1...36 as ClosedRange<UInt64> {
      try await first.store(pattern(length(upload), seed: upload), upload: upload)
    }
    let segment = try #require(first.place(upload: 1)?.segment)
    #expect(first.place(upload: 36)?.segment == segment)
    await first.close()
    var configuration = SegmentStore.Configuration()
    configuration.segmentBytes = 4 << 20
    configuration.compactionBytesPerSecond = speed
    let store = try await SegmentStore.open(
      on: disk, clock: clock, configuration: configuration, drawNode: { testNode },
      random: { 5 })
    var liveBytes = 0
    for upload in 1...36 as ClosedRange<UInt64> {
      if upload % 3 == 0 {
        try await store.delete(.test(upload))
      } else {
        liveBytes += length(upload)
      }
    }
    return (store, segment, liveBytes)
  }

  @Test("compaction copies no more bytes a second than it may, and hardly fewer")
  func limited() async throws {
    let (disk, clock) = (MemoryDisk(), JumpingClock())
    let (store, segment, liveBytes) = try await Self.store(on: disk, clock: clock)
    #expect(clock.nanoseconds == 0)
    let copied = Mutex(0)
    let excess = Mutex(0)
    disk.injectFaults { call in
      guard call.kind == .write, call.path != StorePaths.segment(segment) else { return nil }
      let bytes = copied.withLock { copied in
        copied += call.range?.count ?? 0
        return copied
      }
      let allowed = Int(Double(clock.nanoseconds) / 1e9 * Double(Self.speed)) + Self.most
      excess.withLock { $0 = max($0, bytes - allowed) }
      return nil
    }
    await store.compact(segment)
    disk.injectFaults(nil)
    #expect(!disk.files.contains(StorePaths.segment(segment)), "it was not compacted")
    #expect(copied.withLock { $0 } > liveBytes)
    #expect(excess.withLock { $0 } == 0, "so many bytes too early")
    let seconds = Double(clock.nanoseconds) / 1e9
    let least = Double(liveBytes) / Double(Self.speed)
    #expect((least - 0.02...least + 0.02).contains(seconds))
  }

  @Test("compaction that somebody waits for does not wait")
  func urgent() async throws {
    let (disk, clock) = (MemoryDisk(), JumpingClock())
    let (store, segment, _) = try await Self.store(on: disk, clock: clock)
    await store.compact(segment, isUrgent: true)
    #expect(!disk.files.contains(StorePaths.segment(segment)))
    #expect(clock.nanoseconds == 0)
  }
}
