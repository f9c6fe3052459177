import Checksum
import StoreModel

/// Gathers the chunks of an upload, which are stored in any order, into a manifest.
struct ManifestBuilder: Sendable {
  private var chunks: [UInt32: Manifest.Chunk] = [:]
  /// Bytes of the chunks so far.
  private(set) var bytesStored: UInt64 = 0

  /// A chunk is on every node of its group.
  mutating func stored(_ chunk: Manifest.Chunk) {
    precondition(chunks[chunk.id.index] == nil, "a chunk is stored once")
    chunks[chunk.id.index] = chunk
    bytesStored += UInt64(chunk.length)
  }

  /// All chunks are stored: the manifest, with the checksum of all bytes from those of the chunks.
  func manifest(storageClass: StorageClass) -> Manifest {
    let ordered = chunks.values.sorted { $0.id.index < $1.id.index }
    var checksum: UInt32 = 0
    for (place, chunk) in ordered.enumerated() {
      precondition(Int(chunk.id.index) == place, "every chunk is stored")
      checksum = CRC32C.combine(checksum, chunk.checksum, secondLength: UInt64(chunk.length))
    }
    return Manifest(
      size: bytesStored, checksum: checksum, storageClass: storageClass, chunks: ordered)
  }
}
