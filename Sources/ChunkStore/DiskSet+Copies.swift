import StoreModel
import Synchronization

/// Ending copies of chunks that are on two disks: since a disk failed, and its chunks were moved away from it, or
/// since one of the copies is damaged. They take room, and would be counted twice.
extension DiskSet {
  /// How many chunks of a disk another one has, too.
  struct Copies: Sendable, Hashable {
    var chunks: UInt64 = 0
    /// Of their payloads.
    var bytes: UInt64 = 0

    /// One more was found.
    mutating func add(_ length: UInt32) {
      chunks += 1
      bytes += UInt64(length)
    }

    /// One is gone.
    mutating func remove(_ length: UInt32) {
      chunks -= min(1, chunks)
      bytes -= min(UInt64(length), bytes)
    }
  }

  /// When to look for copies on a disk: at first, when it works again, and now and then, for a put that failed may
  /// leave one, too.
  struct CopyTimer: Sendable {
    /// How often to look at all chunks of a disk, in nanoseconds.
    private static let interval: UInt64 = 3_600_000_000_000

    private var next: UInt64 = 0
    private var hasFailed = false

    /// Whether it is time.
    mutating func isDue(works: Bool, at nanoseconds: UInt64) -> Bool {
      guard works else {
        hasFailed = true
        return false
      }
      guard hasFailed || nanoseconds >= next else { return false }
      hasFailed = false
      next = nanoseconds + CopyTimer.interval
      return true
    }
  }

  /// Copies that are compared at a time: what ends them shares syncs.
  private static let copiesAtOnce = 4

  /// Ends copies on a disk, until the task is cancelled.
  func endCopiesForever(on place: Int) async {
    var timer = CopyTimer()
    await again {
      await endDamagedCopies(on: place)
      if timer.isDue(works: disks[place].store.works, at: clock.nanoseconds) {
        await endCopies(on: place)
      }
    }
  }

  /// Ends copies that other disks have as well, on all disks that work.
  func endCopies() async {
    await withTaskGroup(of: Void.self) { group in
      for place in disks.indices { group.addTask { await self.endCopies(on: place) } }
    }
  }

  /// The same on one disk.
  private func endCopies(on place: Int) async {
    let store = disks[place].store
    guard store.works else { return }
    // What is compared is read, and nobody waits for that.
    var limiter = BandwidthLimit(bytesPerSecond: store.configuration.compactionBytesPerSecond)
    var left = Copies()
    await withTaskGroup(of: UInt32?.self) { group in
      var underWay = 0
      for part in 0..<store.partCount {
        for copy in copies(inPart: part, on: place) {
          if let wake = limiter.spend(Int(copy.length), now: clock.nanoseconds) {
            guard (try? await clock.sleep(until: wake)) != nil else { return }
          }
          if underWay == DiskSet.copiesAtOnce, let length = await group.next() {
            underWay -= 1
            if let length { left.add(length) }
          }
          underWay += 1
          group.addTask {
            await self.endCopy(copy.id, on: place) ? nil : copy.length
          }
        }
      }
      for await length in group { if let length { left.add(length) } }
    }
    guard !Task.isCancelled else { return }
    copies.withLock { [left] in $0[place] = left }
  }

  /// Chunks in a part of a disk's index that another disk that works has, too, as far as known.
  private func copies(
    inPart part: Int, on place: Int
  ) -> [(id: ChunkID, length: UInt32)] {
    let all = disks[place].store.chunks(inPart: part)
    var found: Set<ChunkID> = []
    for other in disks.indices where other != place && disks[other].store.works {
      found.formUnion(disks[other].store.lasting(among: all.map(\.id)))
    }
    return all.filter { found.contains($0.id) }
  }

  /// Ends a disk's copy of a chunk, if another disk that works has the same one: all of it was just read there.
  ///
  /// - Returns: whether there is none to count besides another one any more.
  private func endCopy(_ id: ChunkID, on place: Int) async -> Bool {
    let store = disks[place].store
    return await turns.within(.chunk(id)) {
      if store.works, let own = try? await store.stat(id) {
        for other in disks where other.store !== store && other.store.works {
          // Much may have happened while it was read.
          guard await other.store.hasOnDisk(own), other.store.works, other.store.isLasting(id)
          else { continue }
          guard let length = await store.endRecord(of: id) else { break }
          copies.withLock { $0[place].remove(length) }
          return true
        }
      }
      // Of two that stay the first one is counted.
      return !store.holds(id)
        || !disks[..<place].contains { $0.store.works && $0.store.holdsWhole(id) }
    }
  }

  /// Ends damaged records of chunks that another disk has whole: they keep their segments from being compacted,
  /// and nobody else mends them.
  func endDamagedCopies() async {
    await withTaskGroup(of: Void.self) { group in
      for place in disks.indices { group.addTask { await self.endDamagedCopies(on: place) } }
    }
  }

  /// The same on one disk.
  private func endDamagedCopies(on place: Int) async {
    let store = disks[place].store
    guard !store.isFailing else { return }
    for id in await store.damagedChunks() where isSafe(id) {
      await turns.within(.chunk(id)) {
        for other in disks where other.store !== store && other.store.works {
          guard other.store.holdsSurely(id),
            (try? await other.store.soundHeader(of: id)) != nil
          else { continue }
          _ = await store.endRecord(of: id) { $0.isDamaged }
          return
        }
      }
    }
  }
}

extension SegmentStore {
  /// How many parts its index has.
  fileprivate var partCount: Int { shell.withLock { $0.state.index.partCount } }

  /// The chunks in a part of its index, in order.
  fileprivate func chunks(inPart part: Int) -> [(id: ChunkID, length: UInt32)] {
    var chunks: [(id: ChunkID, length: UInt32)] = []
    shell.withLock { shell in
      shell.state.index.forEach(inPart: part) { id, entry in chunks.append((id, entry.length)) }
    }
    return chunks.sorted { $0.id < $1.id }
  }

  /// Those of some chunks that are here to stay. Looks at few at a time, so that nobody waits long.
  fileprivate func lasting(among ids: [ChunkID]) -> [ChunkID] {
    var found: [ChunkID] = []
    for start in stride(from: 0, to: ids.count, by: 1_000) {
      let some = ids[start..<min(start + 1_000, ids.count)]
      found += shell.withLock { shell in some.filter { shell.state.isLasting($0) } }
    }
    return found
  }

  /// Whether a chunk is here to stay, as far as known.
  fileprivate func isLasting(_ id: ChunkID) -> Bool { shell.withLock { $0.state.isLasting(id) } }

  /// Whether a chunk is here to stay, and all of it is on the disk: what the system has in memory says nothing
  /// about that.
  fileprivate func hasOnDisk(_ record: ChunkRecord) async -> Bool {
    let id = record.chunk.id
    guard isLasting(id), let place = shell.withLock({ $0.state.index[id]?.place }) else {
      return false
    }
    await (try? reader(of: place.segment))?.forget()
    return (try? await soundHeader(of: id))?.record == record
  }

  /// Ends a chunk's record: the chunk goes on elsewhere.
  ///
  /// - Returns: how long the chunk is; nil when there is no such record, or the disk failed.
  fileprivate func endRecord(
    of id: ChunkID, where isMeant: (ChunkIndex.Entry) -> Bool = { _ in true }
  ) async -> UInt32? {
    await turns.take(.chunk(id))
    defer { turns.end(.chunk(id)) }
    guard let known = shell.withLock({ $0.state.index[id] }), isMeant(known) else { return nil }
    let ended = await end([RecordKill(id: id, place: known.place)])
    upkeepBell.continuation.yield()
    return ended.isEmpty ? nil : known.length
  }
}

extension StoreState {
  /// Whether a chunk is here and nothing is known that may end it: damage, a deletion that failed, another record
  /// of it that may or may not be on the disk and would supersede this one, or a segment that failed.
  fileprivate func isLasting(_ id: ChunkID) -> Bool {
    guard let entry = index[id], !entry.isDamaged, !entry.isDoubtful, ghosts[id] == nil else {
      return false
    }
    return segments[entry.place.segment].map { $0.phase != .failed } ?? false
  }
}
