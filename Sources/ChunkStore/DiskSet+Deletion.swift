package import StoreModel
import Synchronization

/// Deleting, also where a disk that has the chunk can't be written to.
///
/// Such a disk can't say that its record ended; if nobody did, the chunk would come back with the next
/// start, or could not be deleted while the disk fails. So the other disks keep it in their `deletions`
/// files, by the record's place. When the disks are opened, what is listed doesn't count; and as soon as
/// the disk can be written to it gets its own records of it, and the lists are rid of theirs.
extension DiskSet {
  package func delete(_ id: ChunkID) async throws {
    try await turns.within(id) {
      let holders = holders(of: id)
      guard !holders.isEmpty else { throw StoreError.noChunk(id, isDeleted: isDeleted(id)) }
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
        try await deleteElsewhere(id, of: store, failed: stores, because: error)
      }
    }
  }

  /// Has other disks keep that a chunk of this one was deleted.
  ///
  /// - Throws: `failure` when none does: the chunk stays, as far as known.
  private func deleteElsewhere(
    _ id: ChunkID, of store: SegmentStore, failed: [SegmentStore], because failure: any Error
  ) async throws {
    // The record must stay where it is meanwhile.
    await store.takeTurn(.chunk(id))
    defer { store.endTurn(.chunk(id)) }
    let kills = store.kills(ofAllRecordsOf: id, deletedAt: max(clock.wallSeconds, 1))
    let entries = kills.map { DeletionList.Entry(disk: store.diskNumber, kill: $0) }
    let (number, hasRoom) = deletions.withLock { deletions in
      deletions.add(entries)
      return (deletions.changes, deletions.count <= DeletionList.maxEntries)
    }
    let isKept =
      hasRoom
      ? await deletionsTurn.within(true) {
        // Whoever wrote while this one waited wrote it as well.
        if deletions.withLock({ $0.written }) >= number { return true }
        return await writeDeletions { disk in !failed.contains { $0 === disk } }
      } : false
    guard isKept else {
      deletions.withLock { $0.remove(entries) }
      store.doubt(kills)
      throw failure
    }
    store.forget(kills)
  }

  /// Writes the list of deletions to all disks of these that don't fail. Called in the list's turn.
  ///
  /// - Returns: whether one has it durably.
  private func writeDeletions(on isMeant: (SegmentStore) -> Bool) async -> Bool {
    let (list, change) = deletions.withLock { ($0.list, $0.changes) }
    var isWritten = false
    for disk in disks where !disk.store.isFailing && isMeant(disk.store) {
      do throws(StoreError) {
        try await list.write(on: disk.store.disk)
        isWritten = true
      } catch {
        disk.store.report(StorePaths.deletions, "cannot be written: \(error.message)")
      }
    }
    if isWritten { deletions.withLock { $0.written = max($0.written, change) } }
    return isWritten
  }

  /// Takes in what the disks keep for each other. Called before anybody uses the chunks.
  func readDeletions() async {
    for disk in disks {
      do throws(StoreError) {
        let list = try await DeletionList.read(on: disk.store.disk)
        deletions.withLock { $0.add(list?.entries ?? []) }
      } catch {
        disk.store.report(StorePaths.deletions, "cannot be read: \(error.message)")
      }
    }
    let entries = deletions.withLock { $0.list.entries }
    for disk in disks {
      disk.store.forget(entries.filter { $0.disk == disk.store.diskNumber }.map(\.kill))
    }
    await settleDeletions()
  }

  /// Has disks that can be written to again say themselves what others keep for them.
  func settleDeletions() async {
    let entries = deletions.withLock { $0.list.entries }
    guard !entries.isEmpty else { return }
    // For a disk that isn't here any more they are kept as long as any deletion is remembered.
    let numbers = disks.map(\.store.diskNumber)
    let oldest = clock.wallSeconds - StoreState.Limits(segmentBytes: 0).deletionSeconds
    var settled = entries.filter { !numbers.contains($0.disk) && $0.kill.deletedAt < oldest }
    for disk in disks where !disk.store.isFailing {
      let own = entries.filter { $0.disk == disk.store.diskNumber }
      settled += await disk.store.end(own.map(\.kill)).map {
        DeletionList.Entry(disk: disk.store.diskNumber, kill: $0)
      }
    }
    guard !settled.isEmpty else { return }
    deletions.withLock { $0.remove(settled) }
    // A list that can't be written keeps lines that do no harm.
    _ = await deletionsTurn.within(true) { await writeDeletions { _ in true } }
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

  /// Writes down that records ended.
  ///
  /// - Returns: those of which that is durable now, or whose segment is gone.
  fileprivate func end(_ kills: [RecordKill]) async -> [RecordKill] {
    let listed = shell.withLock(\.listed)
    var ended = kills.filter { !listed.contains($0.place.segment) }
    let left = kills.filter { listed.contains($0.place.segment) }
    let together = SegmentStore.maxTogetherBytes / RecordHeader.deletionBytes
    for start in stride(from: 0, to: left.count, by: together) {
      let some = left[start..<min(start + together, left.count)]
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
