import StoreModel
import Synchronization

/// Moves chunks away from disks that fail, while they can still be read.
extension DiskSet {
  /// How often it looks for a disk that fails.
  private static let drainPause: UInt64 = 10_000_000_000

  /// The longest pause after rounds in which nothing could be moved, though there was something.
  private static let longestPause: UInt64 = 600_000_000_000
  /// Ids that are looked at together.
  private static let idsAtOnce = 500

  /// Moves chunks away from disks that fail, until the task is cancelled.
  func drainForever() async {
    var pause = DiskSet.drainPause
    while !Task.isCancelled {
      await settleDeletions()
      await endDamagedCopies()
      let (moved, left) = await drain()
      let isStuck = moved == 0 && left > 0
      pause = isStuck ? min(pause * 2, DiskSet.longestPause) : DiskSet.drainPause
      guard (try? await clock.sleep(until: clock.nanoseconds + pause)) != nil else { return }
    }
  }

  /// Moves chunks away from the disks that fail. What can't be read, or stored elsewhere, stays where it
  /// is and is tried again the next time.
  ///
  /// - Returns: how many chunks were moved, and how many could not be.
  @discardableResult
  func drain() async -> (moved: Int, left: Int) {
    var moved = 0
    var left = 0
    for disk in disks where disk.store.isFailing {
      var after: ChunkID?
      repeat {
        // By the index, and damaged ones as well: no read that fails hides what comes after it.
        let ids = disk.store.ids(after: after, limit: DiskSet.idsAtOnce)
        for id in ids where !Task.isCancelled && !isSafe(id) {
          do {
            try await move(id, from: disk.store)
            moved += 1
          } catch {
            left += 1
          }
        }
        after = ids.last
      } while after != nil && !Task.isCancelled
    }
    return (moved, left)
  }

  /// Ends damaged records of chunks that another disk has whole: they keep their segments from being compacted,
  /// and nobody else mends them.
  func endDamagedCopies() async {
    for disk in disks where !disk.store.isFailing {
      for id in await disk.store.damagedChunks() where isSafe(id) {
        await turns.within(.chunk(id)) {
          for other in disks
          where other.store !== disk.store && !other.store.isFailing && other.store.holdsSurely(id)
          {
            guard (try? await other.store.soundHeader(of: id)) != nil else { continue }
            return await disk.store.endDamaged(id)
          }
        }
      }
    }
  }

  /// Copies a chunk to another disk. It is read outside of its turn, so that nobody waits for a disk that
  /// fails; in its turn it is only made to count, if it is still what was read.
  private func move(_ id: ChunkID, from store: SegmentStore) async throws {
    let reader = try await store.openRecord(id)
    let place = reader.header.place
    defer { store.unpin(place.segment) }
    let record = reader.record
    let target = disks[self.place(for: record.chunk)].store
    guard target.works else {
      throw StoreError(.unavailable, "there is no disk to move chunk \(id) to")
    }
    try await target.put(record.chunk) { put in
      try await reader.read(
        blocks: 0..<reader.header.blocks.count, pieceBlocks: SegmentReader.blocksARead, ahead: 0
      ) { piece in
        try await put.append(piece.bytes)
      }
      try await turns.within(.chunk(id)) {
        guard store.place(of: id) == place, !isSafe(id) else {
          throw StoreError(.aborted, "chunk \(id) was changed while it was moved")
        }
        _ = try await put.finish(checksum: record.checksum)
      }
    }
  }
}

extension SegmentStore {
  /// The ids of chunks after this one in order, damaged ones included.
  fileprivate func ids(after id: ChunkID?, limit: Int) -> [ChunkID] {
    Array(listing(after: id).page(after: id, limit: limit).ids)
  }

  /// Where a chunk's record stands.
  fileprivate func place(of id: ChunkID) -> RecordPlace? {
    shell.withLock { $0.state.index[id]?.place }
  }
}
