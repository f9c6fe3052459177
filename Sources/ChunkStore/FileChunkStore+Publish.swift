import StoreModel

extension FileChunkStore {
  /// Gives a chunk its place, or finds it there with the same content. One at a time for each chunk.
  ///
  /// - Parameters:
  ///   - header: the chunk.
  ///   - place: moves the chunk's synced file to the path that it is given.
  /// - Returns: the chunk as stored.
  /// - Throws: `alreadyExists` when it is here with other content, and what the disk throws.
  func publish(
    _ header: ChunkFileHeader, place: (String) async throws -> Void
  ) async throws -> ChunkRecord {
    let id = header.record.chunk.id
    await takeTurn(id)
    defer { endTurn(id) }
    if let stored = try await sound(id) {
      guard stored.blocks == header.blocks, stored.record.chunk.length == header.record.chunk.length
      else { throw StoreError.conflict(id) }
      if isDurable(id) { return stored.record }
    }
    let base = ChunkPaths.base(of: id)
    let generation = try await readyDirectory(base)
    let path = ChunkPaths.file(of: id, generation: generation)
    try await place(path)
    do throws(StoreError) {
      try await directorySync.sync(ChunkPaths.directory(base: base, generation: generation))
      // A sync for somebody else may have failed since the file was placed, and taken it along.
      guard generation == directories.generation(of: base) else {
        throw StoreError(.internal, "the directory of chunk \(id) could not be synced")
      }
    } catch {
      // What the directory holds is unknown from here on, and no later sync would tell.
      directories.abandon(base: base, generation: generation)
      try await removeIfThere(path)
      throw error
    }
    if case .stored(_, let old)? = index[id], old != generation {
      try await removeIfThere(ChunkPaths.file(of: id, generation: old))
    }
    index.set(id, .stored(length: header.record.chunk.length, generation: generation))
    return header.record
  }

  /// Whether a chunk's file stands in a directory whose syncs all went well.
  private func isDurable(_ id: ChunkID) -> Bool {
    guard case .stored(_, let generation)? = index[id] else { return false }
    return generation == directories.generation(of: ChunkPaths.base(of: id))
  }

  /// The header of a chunk that is here and whose every block was just read and verified.
  private func sound(_ id: ChunkID) async throws -> ChunkFileHeader? {
    guard case .stored? = index[id] else { return nil }
    do {
      let reader = try await openFile(id)
      do {
        try await reader.verifyAll()
        await reader.close()
        return reader.header
      } catch {
        await reader.close()
        throw error
      }
    } catch let error as StoreError where error.code == .dataLoss {
      return nil
    }
  }

  /// The generation of a directory that is there, durably, to write to.
  private func readyDirectory(_ base: String) async throws(StoreError) -> Int {
    let generation = directories.generation(of: base)
    if directories.isMade(base: base, generation: generation) { return generation }
    do throws(StoreError) {
      try await disk.makeDirectory(ChunkPaths.directory(base: base, generation: generation))
      try await directorySync.sync(ChunkPaths.chunks)
    } catch {
      directories.abandon(base: base, generation: generation)
      throw error
    }
    directories.add(base: base, generation: generation)
    return generation
  }
}
