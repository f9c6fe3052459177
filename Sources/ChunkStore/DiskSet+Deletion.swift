package import StoreModel
import Synchronization

/// Deleting, also where a disk that has the chunk, or may have a part of it, can't be written to.
///
/// Such a disk can't say that its record ended; if nobody did, the chunk would come back with the next
/// start, or could not be deleted while the disk fails. So the other disks keep it in their `deletions`
/// files, by the record's place. When the disks are opened, what is listed doesn't count; and as soon as
/// the disk can be written to it gets its own records of it, and the lists are rid of theirs.
extension DiskSet {
  package func delete(_ id: ChunkID) async throws {
    try await turns.within(.chunk(id)) {
      let holders = holders(of: id)
      guard !holders.isEmpty else {
        try await endLeftovers(of: id, besides: nil)
        throw absence(of: id)
      }
      var failed: [(store: SegmentStore, error: any Error)] = []
      for holder in holders {
        do {
          try await holder.store.delete(id)
        } catch {
          failed.append((holder.store, error))
        }
      }
      let stores = failed.map(\.store)
      for (store, error) in failed {
        guard disks.count > 1 else { throw error }
        // The record must stay where it is meanwhile.
        await store.turns.take(.chunk(id))
        defer { store.turns.end(.chunk(id)) }
        let kills = store.kills(ofAllRecordsOf: id, deletedAt: max(clock.wallSeconds, 1))
        try await keepElsewhere(kills, of: store, failed: stores, because: error)
      }
      try await endLeftovers(of: id, besides: nil)
      // It may stand on a disk that isn't used, too, and would come back with it.
      if let hidden = unusedDisk { throw hidden }
    }
  }

  /// Ends what writes that failed may have left of a chunk on other disks than the one that it is put to.
  /// Called in the chunk's turn, before anything else of it is acknowledged: after a crash it may be there.
  /// Not on disks that have the chunk: there it is a copy that may have ended the one that counts, which
  /// must not go with it, and it is ended together with that one.
  func endLeftovers(of id: ChunkID, besides target: SegmentStore?) async throws {
    for disk in disks where disk.store !== target && !disk.store.holds(id) {
      let kills = disk.store.shell.withLock { $0.state.ghostKills(of: id) }
      guard !kills.isEmpty, await disk.store.end(kills).count < kills.count else { continue }
      try await keepElsewhere(
        kills, of: disk.store, failed: [disk.store],
        because: StoreError(
          .internal, "chunk \(id) may stand on '\(disk.path)', which can't be written to"))
    }
  }

  /// Has other disks keep that records of this one no longer count.
  ///
  /// - Throws: `failure` when none does: they stay, as far as known.
  private func keepElsewhere(
    _ kills: [RecordKill], of store: SegmentStore, failed: [SegmentStore],
    because failure: any Error
  ) async throws {
    let entries = kills.map { DeletionList.Entry(disk: store.diskNumber, kill: $0) }
    let (number, hasRoom) = deletions.withLock { deletions in
      guard deletions.count + entries.count <= DeletionList.maxEntries else {
        return (deletions.changes, false)
      }
      deletions.add(entries)
      return (deletions.changes, true)
    }
    let places = disks.indices.filter { place in
      !disks[place].store.isFailing && !failed.contains { $0 === disks[place].store }
    }
    if hasRoom { await writeLists(number, on: places) }
    guard hasRoom, await isListKept(number, on: places) else {
      if hasRoom {
        deletions.withLock { $0.remove(entries) }
        store.doubt(kills)
      }
      throw failure
    }
    store.forget(kills)
  }

  /// Has disks that can be written to again say themselves what others keep for them.
  func settleDeletions() async {
    await withTaskGroup(of: Void.self) { group in
      for place in disks.indices { group.addTask { await self.settleDeletions(on: place) } }
    }
  }

  /// Has a disk, if it can be written to, say itself what others keep for it.
  func settleDeletions(on place: Int) async {
    let entries = deletions.withLock { $0.list.entries }
    guard !entries.isEmpty else { return }
    // For a disk that isn't here any more they are kept as long as any deletion is remembered.
    let numbers = disks.map(\.store.diskNumber)
    let oldest = max(clock.wallSeconds - StoreState.Limits(segmentBytes: 0).deletionSeconds, 1)
    var settled = entries.filter {
      !numbers.contains($0.disk) && 1..<oldest ~= $0.kill.deletedAt
    }
    let store = disks[place].store
    if !store.isFailing {
      let own = entries.filter { $0.disk == store.diskNumber }
      settled += await store.end(own.map(\.kill)).map {
        DeletionList.Entry(disk: store.diskNumber, kill: $0)
      }
    }
    guard !settled.isEmpty else { return }
    let change = deletions.withLock { deletions in
      deletions.remove(settled)
      return deletions.changes
    }
    // A list that can't be written keeps lines that do no harm.
    await writeLists(change, on: disks.indices.filter { !disks[$0].store.isFailing })
  }
}

extension SegmentStore {
  /// What says that a chunk was deleted, of every record of it that may be on the disk.
  fileprivate func kills(ofAllRecordsOf id: ChunkID, deletedAt: Int64) -> [RecordKill] {
    shell.withLock { shell in
      let places = (shell.state.index[id].map { [$0.place] } ?? []) + (shell.state.ghosts[id] ?? [])
      return places.map { RecordKill(id: id, place: $0, deletedAt: deletedAt) }
    }
  }

  /// Ends a chunk's record if it is damaged: the chunk goes on elsewhere.
  func endDamaged(_ id: ChunkID) async {
    await turns.take(.chunk(id))
    defer { turns.end(.chunk(id)) }
    let known = shell.withLock { $0.state.index[id] }
    guard let known, known.isDamaged else { return }
    _ = await end([RecordKill(id: id, place: known.place)])
  }

  /// Takes into account that records ended, by what another disk keeps.
  fileprivate func forget(_ kills: [RecordKill]) {
    shell.withLock { shell in
      for kill in kills { shell.state.succeed(.deletion(kill)) }
    }
  }

  /// Takes into account that records may have ended, or not: what is stored again must be anew.
  fileprivate func doubt(_ kills: [RecordKill]) {
    shell.withLock { shell in
      for kill in kills { shell.state.lose(.deletion(kill)) }
    }
  }

  /// Writes down that records ended, and so that their chunks were deleted: also where the record itself
  /// is gone by now.
  ///
  /// - Returns: those of which that is durable now.
  fileprivate func end(_ kills: [RecordKill]) async -> [RecordKill] {
    var ended: [RecordKill] = []
    let together = SegmentStore.maxTogetherBytes / RecordHeader.deletionBytes
    for start in stride(from: 0, to: kills.count, by: together) {
      let some = kills[start..<min(start + together, kills.count)]
      let results = await commit(
        some.map { Commit(header: .deletion($0), body: .none, use: .deletion) })
      for (kill, result) in zip(some, results) {
        guard case .success = result else { return ended }
        ended.append(kill)
      }
    }
    return ended
  }
}
