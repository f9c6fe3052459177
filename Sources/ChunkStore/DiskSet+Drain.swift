import StoreModel
import Synchronization

/// Moves chunks away from disks that fail, while they can still be read.
///
/// Each failing disk is drained on its own, a few chunks at once and fewer to the same disk: one that hangs keeps
/// those few waiting, and nobody else.
extension DiskSet {
  /// How often it looks for a disk that fails, in nanoseconds.
  static let drainPause: UInt64 = 10_000_000_000
  /// Ids that are looked at together.
  private static let idsAtOnce = 500

  /// What a drain hears of.
  private enum DrainEvent: Sendable {
    /// A move ended.
    case moved(ChunkID, isMoved: Bool)
    /// It is time to look again.
    case tick
  }

  /// Does something again and again, until the task is cancelled.
  func again(_ work: () async -> Void) async {
    while !Task.isCancelled {
      await work()
      let wake = clock.nanoseconds + DiskSet.drainPause
      guard (try? await clock.sleep(until: wake)) != nil else { return }
    }
  }

  /// Moves chunks away from a disk whenever it fails, until the task is cancelled.
  func drainForever(_ place: Int) async {
    await withTaskGroup(of: DrainEvent.self) { group in
      var moves = ChunkMoves()
      var pause = DiskSet.drainPause
      group.addTask { .tick }
      while let event = await group.next(), !Task.isCancelled {
        switch event {
        case .moved(let id, let isMoved): moves.end(id, isMoved: isMoved)
        case .tick:
          pause = moves.pause(after: pause)
          if moves.isAtEnd { moves.beginRound() }
          let wake = clock.nanoseconds + pause
          group.addTask {
            try? await self.clock.sleep(until: wake)
            return .tick
          }
        }
        beginMoves(from: place, &moves, in: &group)
      }
    }
  }

  /// Moves chunks away from the disks that fail, each once. What can't be read, or stored elsewhere, stays where
  /// it is and is tried again the next time.
  ///
  /// - Returns: how many chunks were moved, and how many could not be.
  @discardableResult
  func drain() async -> (moved: Int, left: Int) {
    await withTaskGroup(of: (moved: Int, left: Int).self) { group in
      for place in disks.indices { group.addTask { await self.drain(place) } }
      return await group.reduce((0, 0)) { ($0.0 + $1.moved, $0.1 + $1.left) }
    }
  }

  private func drain(_ place: Int) async -> (moved: Int, left: Int) {
    await withTaskGroup(of: DrainEvent.self) { group in
      var moves = ChunkMoves()
      moves.beginRound()
      repeat {
        beginMoves(from: place, &moves, in: &group)
        guard case .moved(let id, let isMoved) = await group.next() else { break }
        moves.end(id, isMoved: isMoved)
      } while true
      return (moves.moved, moves.left)
    }
  }

  /// Begins as many moves as may be under way.
  private func beginMoves(
    from place: Int, _ moves: inout ChunkMoves, in group: inout TaskGroup<DrainEvent>
  ) {
    let store = disks[place].store
    while let (id, target) = nextMove(from: place, &moves) {
      group.addTask {
        do {
          try await self.move(id, from: store, to: self.disks[target].store)
          return .moved(id, isMoved: true)
        } catch {
          return .moved(id, isMoved: false)
        }
      }
    }
  }

  /// The next chunk to move, and where to; nil: there is none, or it has to wait until another move ends.
  private func nextMove(
    from place: Int, _ moves: inout ChunkMoves
  ) -> (id: ChunkID, target: Int)? {
    let store = disks[place].store
    while !moves.isAtEnd, store.isFailing, !Task.isCancelled {
      guard let id = moves.ids.first else {
        // By the index, and damaged ones as well: no read that fails hides what comes after it.
        moves.look(at: store.ids(after: moves.after, limit: DiskSet.idsAtOnce))
        continue
      }
      guard !moves.isUnderWay(id), !isSafe(id), let length = store.length(of: id) else {
        moves.pass()
        continue
      }
      let targets = targets(for: length)
      guard !targets.isEmpty else {
        moves.leave()
        continue
      }
      let silent = disks.indices.filter { disks[$0].store.isSilent }
      let free = targets.filter { moves.mayBegin(to: $0, silent: silent) }
      guard let target = self.place(for: id, length: length, among: free) else { return nil }
      moves.begin(id, to: target)
      return (id, target)
    }
    moves.endRound()
    return nil
  }

  /// Ends damaged records of chunks that another disk has whole: they keep their segments from being compacted,
  /// and nobody else mends them.
  func endDamagedCopies() async {
    await withTaskGroup(of: Void.self) { group in
      for place in disks.indices { group.addTask { await self.endDamagedCopies(on: place) } }
    }
  }

  /// The same on one disk.
  func endDamagedCopies(on place: Int) async {
    let disk = disks[place]
    guard !disk.store.isFailing else { return }
    for id in await disk.store.damagedChunks() where isSafe(id) {
      await turns.within(.chunk(id)) {
        for other in disks
        where other.store !== disk.store && !other.store.isFailing && other.store.holdsSurely(id) {
          guard (try? await other.store.soundHeader(of: id)) != nil else { continue }
          return await disk.store.endDamaged(id)
        }
      }
    }
  }

  /// Copies a chunk to another disk. It is read outside of its turn, so that nobody waits for a disk that
  /// fails; in its turn it is only made to count, if it is still what was read.
  private func move(
    _ id: ChunkID, from store: SegmentStore, to target: SegmentStore
  ) async throws {
    let reader = try await store.openRecord(id)
    let place = reader.header.place
    defer { store.unpin(place.segment) }
    let record = reader.record
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
