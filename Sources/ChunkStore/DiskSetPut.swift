import NIOCore
import StoreModel
import Synchronization

/// A chunk on its way into one of a node's disks. How it ends is decided in the chunk's turn: others may
/// have stored, moved or deleted it meanwhile, on another disk.
struct DiskSetPut: ChunkPut {
  let set: DiskSet
  let chunk: NewChunk
  /// Where it goes.
  let target: SegmentStore
  let put: any ChunkPut

  func append(_ bytes: ByteBuffer) async throws {
    try await put.append(bytes)
  }

  func finish(checksum: UInt32) async throws -> ChunkRecord {
    try await set.turns.within(.chunk(chunk.id)) { try await end(checksum: checksum) }
  }

  func mend(checksum: UInt32) async throws -> ChunkRecord {
    try await set.turns.within(.chunk(chunk.id)) {
      // The target may remember an older deletion of a chunk that was put again since on another disk.
      if set.holders(of: chunk.id).isEmpty, set.isDeleted(chunk.id) {
        throw StoreError.noChunk(chunk.id, isDeleted: true)
      }
      return try await end(checksum: checksum)
    }
  }

  func cancel() async {
    await put.cancel()
  }

  /// Stores the chunk, unless another disk has it already. Called in the chunk's turn.
  private func end(checksum: UInt32) async throws -> ChunkRecord {
    for holder in set.holders(of: chunk.id) where holder.store !== target {
      let found = try await holder.store.verifiedHeader(of: chunk.id)
      guard let known = found.header?.record else {
        guard holder.store.length(of: chunk.id) ?? chunk.length == chunk.length else {
          throw StoreError.conflict(chunk.id)
        }
        continue
      }
      guard known.checksum == checksum, known.chunk.length == chunk.length else {
        throw StoreError.conflict(chunk.id)
      }
      if found.isSound, !holder.store.isFailing, holder.store.holdsSurely(chunk.id) {
        await put.cancel()
        return known
      }
    }
    try await set.endLeftovers(of: chunk.id, besides: target)
    return try await put.finish(checksum: checksum)
  }
}

extension SegmentStore {
  /// How many bytes a chunk has, damaged or not; nil where it isn't here.
  func length(of id: ChunkID) -> UInt32? {
    shell.withLock { $0.state.index[id]?.length }
  }

  /// Whether a chunk is here for certain: nothing is known that may have ended it, or not.
  func holdsSurely(_ id: ChunkID) -> Bool {
    shell.withLock { $0.state.index[id]?.isDoubtful == false }
  }
}
