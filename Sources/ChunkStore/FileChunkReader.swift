import Checksum
import NIOCore
import StoreModel

/// A chunk's file that is read. What fits into the first read is served out of it.
struct FileChunkReader: ChunkReader {
  /// The chunk with its blocks' checksums, verified.
  let header: ChunkFileHeader
  /// The file's beginning, header included.
  let head: ByteBuffer
  /// nil when `head` is the whole file.
  let file: (any DiskFile)?

  /// Blocks read at a time by `verifyAll`.
  private static let blocksARead = 16

  var record: ChunkRecord {
    header.record
  }

  func read(blocks: Range<Int>) async throws -> VerifiedBlocks {
    precondition(
      !blocks.isEmpty && blocks.lowerBound >= 0 && blocks.upperBound <= header.blocks.count,
      "blocks \(blocks) of a chunk of \(header.blocks.count)")
    let start = blocks.lowerBound * BlockChecksums.blockBytes
    let end = min(blocks.upperBound * BlockChecksums.blockBytes, Int(record.chunk.length))
    let bytes = try await payload(start..<end)
    guard bytes.readableBytes == end - start else {
      throw StoreError.damaged(record.chunk.id, "its file is cut short")
    }
    var checksums = BlockChecksums(expectedBytes: end - start)
    checksums.update(bytes)
    let found = checksums.blocks
    let expected = Array(header.blocks[blocks])
    guard found == expected else {
      let bad = zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset
      throw StoreError.damaged(
        record.chunk.id, "block \(blocks.lowerBound + (bad ?? 0)) has another checksum")
    }
    return VerifiedBlocks(offset: UInt32(start), checksums: expected, bytes: bytes)
  }

  func close() async {
    await file?.close()
  }

  /// Reads and verifies every block.
  func verifyAll() async throws {
    for start in stride(from: 0, to: header.blocks.count, by: FileChunkReader.blocksARead) {
      let end = min(start + FileChunkReader.blocksARead, header.blocks.count)
      _ = try await read(blocks: start..<end)
    }
  }

  /// Bytes of the payload, as they are on disk.
  private func payload(_ range: Range<Int>) async throws(StoreError) -> ByteBuffer {
    let start = header.byteCount + range.lowerBound
    let place = head.readerIndex + start
    if let bytes = head.getSlice(at: place, length: range.count) { return bytes }
    guard let file else {
      throw StoreError.damaged(record.chunk.id, "its file is cut short")
    }
    return try await file.read(at: start, length: range.count).bytes
  }
}

extension FileChunkStore {
  /// Chunks up to this many bytes are read whole with their header.
  static let maxWholeReadBytes = 64 << 10

  /// Opens a chunk's file and verifies its header.
  func openFile(_ id: ChunkID) async throws -> FileChunkReader {
    guard case .stored(let length, let generation)? = index[id] else {
      throw index[id] == nil ? StoreError.noChunk(id) : FileChunkStore.setAside(id)
    }
    if length <= FileChunkStore.maxWholeReadBytes {
      let most = ChunkFileHeader.maxBytes + DiskBuffer.roundUp(Int(length))
      let head = try await readHead(of: id, length: most)
      return FileChunkReader(header: try checkedHeader(head, of: id), head: head.bytes, file: nil)
    }
    let path = ChunkPaths.file(of: id, generation: generation)
    let file: any DiskFile
    do throws(StoreError) {
      file = try await disk.open(path)
    } catch {
      throw explain(error, id)
    }
    do {
      let head = try await file.read(at: 0, length: ChunkFileHeader.maxBytes)
      return FileChunkReader(header: try checkedHeader(head, of: id), head: head.bytes, file: file)
    } catch {
      await file.close()
      throw error
    }
  }

  /// The beginning of a chunk's file.
  func readHead(of id: ChunkID, length: Int) async throws(StoreError) -> DiskRead {
    guard case .stored(_, let generation)? = index[id] else {
      throw index[id] == nil ? StoreError.noChunk(id) : FileChunkStore.setAside(id)
    }
    do throws(StoreError) {
      let path = ChunkPaths.file(of: id, generation: generation)
      return try await disk.read(path, at: 0, length: length)
    } catch {
      throw explain(error, id)
    }
  }

  /// The header of a chunk's file, which must be this chunk's and have all its bytes.
  func checkedHeader(_ head: DiskRead, of id: ChunkID) throws(StoreError) -> ChunkFileHeader {
    do throws(StoreError) {
      return try ChunkScan.header(of: head, expected: id)
    } catch {
      throw StoreError.damaged(id, error.message)
    }
  }

  /// What it means that a chunk's file could not be opened: it was deleted meanwhile, or it is lost.
  private func explain(_ error: StoreError, _ id: ChunkID) -> StoreError {
    guard error.code == .notFound else { return error }
    return index[id] == nil ? StoreError.noChunk(id) : StoreError.damaged(id, "its file is gone")
  }

  private static func setAside(_ id: ChunkID) -> StoreError {
    StoreError.damaged(id, "its file was set aside when the store opened")
  }
}
