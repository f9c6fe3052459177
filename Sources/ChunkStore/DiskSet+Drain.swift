import StoreModel

/// Moves chunks away from disks that fail, while they can still be read.
extension DiskSet {
  /// How often it looks for a disk that fails.
  private static let drainPause: UInt64 = 10_000_000_000

  /// Moves chunks away from disks that fail, until the task is cancelled.
  func drainForever() async {
    while !Task.isCancelled {
      await drain()
      guard
        (try? await clock.sleep(until: clock.nanoseconds + DiskSet.drainPause)) != nil
      else { return }
    }
  }

  /// Moves chunks away from the disks that fail.
  func drain() async {
    for disk in disks where disk.store.isFailing { await drain(disk.store) }
  }

  /// Stores every chunk that is only on this disk, and can be read, on another one.
  private func drain(_ store: SegmentStore) async {
    var after: ChunkID?
    repeat {
      guard let page = try? await store.list(after: after, limit: 500) else { return }
      for record in page.records where !Task.isCancelled {
        let isElsewhere = holders(of: record.chunk.id).contains { !$0.store.isFailing }
        guard !isElsewhere else { continue }
        // What can't be moved stays where it is, and is among the chunks at risk.
        try? await move(record, from: store)
      }
      after = page.next
    } while after != nil && !Task.isCancelled
  }

  private func move(_ record: ChunkRecord, from store: SegmentStore) async throws {
    let target = disks[place(for: record.chunk)].store
    guard !target.isFailing else { return }
    try await store.withChunk(record.chunk.id) { reader in
      try await target.put(record.chunk) { put in
        let blocks = (Int(record.chunk.length) + 65_535) / 65_536
        try await reader.read(blocks: 0..<blocks, pieceBlocks: 16, ahead: 0) { piece in
          try await put.append(piece.bytes)
        }
        _ = try await put.finish(checksum: record.checksum)
      }
    }
  }
}
