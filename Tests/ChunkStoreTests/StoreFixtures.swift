import Checksum
import NIOCore
import StoreModel

@testable import ChunkStore

/// The node's number in these tests.
let testNode = NodeID(0x1234)

/// Opens a store on a disk.
func openStore(_ disk: any Disk) async throws -> FileChunkStore {
  try await FileChunkStore.open(on: disk, drawNode: { testNode })
}

/// A chunk to store.
func newChunk(_ upload: UInt64, index: UInt32 = 0, bytes: [UInt8]) throws -> NewChunk {
  NewChunk(
    id: ChunkID(group: 7, upload: upload, index: index), epoch: 3, length: UInt32(bytes.count),
    name: try Name(bucket: "photos", key: "summer/\(upload).jpg"))
}

extension ChunkStore {
  /// Stores a chunk in pieces.
  @discardableResult
  func store(
    _ bytes: [UInt8], upload: UInt64, index: UInt32 = 0, pieceBytes: Int = 100_000
  ) async throws -> ChunkRecord {
    try await put(try newChunk(upload, index: index, bytes: bytes)) { put in
      for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
        try await put.append(
          ByteBuffer(bytes: bytes[start..<min(start + pieceBytes, bytes.count)]))
      }
      return try await put.finish(checksum: CRC32C.checksum(of: bytes))
    }
  }

  /// A chunk's bytes.
  func load(upload: UInt64, index: UInt32 = 0) async throws -> [UInt8] {
    try await withChunk(ChunkID(group: 7, upload: upload, index: index)) { reader in
      var bytes: [UInt8] = []
      let blocks = BlockChecksums.blockCount(bytes: Int(reader.record.chunk.length))
      for start in stride(from: 0, to: blocks, by: 3) {
        bytes +=
          (try await reader.read(blocks: start..<min(start + 3, blocks))).bytes
          .readableBytesView
      }
      return bytes
    }
  }
}

/// The code of the error that `body` throws; nil when it throws none.
func code(_ body: () async throws -> Void) async -> StoreError.Code? {
  do {
    try await body()
    return nil
  } catch {
    return (error as? StoreError)?.code
  }
}

extension FileChunkStore {
  /// Checks that no memory is held and nothing temporary is left.
  func leftovers(on disk: MemoryDisk) -> [String] {
    let files = disk.files.filter { $0.hasPrefix("tmp/") }
    return staging.usedBytes == 0 ? files : files + ["\(staging.usedBytes) staged bytes"]
  }
}
