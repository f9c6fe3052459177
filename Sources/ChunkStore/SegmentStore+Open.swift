package import StoreModel
import Synchronization

extension SegmentStore {
  /// Opens the store in a disk's directory; makes it there when the directory is empty.
  ///
  /// - Parameters:
  ///   - disk: the data directory.
  ///   - clock: the time.
  ///   - configuration: how it is set up.
  ///   - drawNode: asked for the node's number when the directory is empty.
  ///   - random: gives 64 random bits: for the disk's own number, and for what strangers may not guess.
  /// - Returns: the store; its problems say what is wrong in the directory.
  /// - Throws: `preconditionFailed` when the directory is in use, foreign, or of another format;
  ///   `dataLoss` when its format file is damaged.
  package static func open(
    on disk: any Disk, clock: any ChunkStoreClock, configuration: Configuration = Configuration(),
    drawNode: () -> NodeID, random: () -> UInt64
  ) async throws(StoreError) -> SegmentStore {
    try await open(
      on: disk, ended: [], clock: clock, configuration: configuration, drawNode: drawNode,
      random: random)
  }

  /// The same where other disks of the node keep that records no longer count, at these places.
  static func open(
    on disk: any Disk, ended: [RecordPlace], clock: any ChunkStoreClock,
    configuration: Configuration, drawNode: () -> NodeID, random: () -> UInt64
  ) async throws(StoreError) -> SegmentStore {
    let lock = try await disk.lock(StorePaths.lock)
    do throws(StoreError) {
      let directory = try await DataDirectory.open(
        on: disk, drawNode: drawNode, drawDisk: { max(1, random()) })
      let space = try await disk.space()
      var limits = StoreState.Limits(
        segmentBytes: configuration.segmentBytes ?? segmentBytes(capacity: space.capacityBytes))
      limits.maxReserveBytes = configuration.maxReserveBytes
      var recovery = SegmentRecovery(
        disk: disk, directory: directory, limits: limits, hashSeed: random())
      recovery.end(ended)
      try await recovery.run()
      var shell = Shell(state: recovery.state, directory: directory)
      shell.problems = recovery.problems
      shell.listed = recovery.listed
      shell.verifiedAt = await ScrubLog.read(on: disk).verifiedAt
        .filter { shell.state.segments[$0.key] != nil }
      shell.state.hasReserve = false
      let store = SegmentStore(
        disk: disk, lock: lock, clock: clock, configuration: configuration, keySeed: random(),
        shell: shell)
      await store.keepReserve()
      // Nobody is told of a record before it is sure.
      while let number = store.shell.withLock({ $0.state.segmentInDoubt }) {
        await store.settle(number)
      }
      await store.endOvertaken(recovery.overtaken)
      store.upkeepBell.continuation.yield()
      if store.shell.withLock({ $0.state.index.count }) > SegmentStore.manyChunks {
        SystemCalls.giveFreeMemoryBack()
      }
      return store
    } catch {
      await lock.release()
      throw error
    }
  }

  /// With more chunks, what reading their checkpoints took is worth giving back.
  private static let manyChunks = 1 << 20

  /// Bytes of a segment on a disk of this size: large, so that there are few, but a small part of it.
  static func segmentBytes(capacity: UInt64) -> Int {
    let part = Int(clamping: capacity / 128) / minSegmentBytes * minSegmentBytes
    return min(max(part, minSegmentBytes), maxSegmentBytes)
  }

  private static let minSegmentBytes = 1 << 20
  private static let maxSegmentBytes = 512 << 20
}
