import Checksum
import NIOCore
import StoreModel
import Synchronization

/// A chunk's record that is read. What fits into the first read is served out of it.
///
/// Blocks are read into memory and summed there before they leave: `sendfile` would spare a copy, but
/// its bytes could only be verified by whoever receives them.
struct SegmentReader: ChunkReader {
  /// The record, verified.
  let header: RecordHeader
  /// The record's beginning, header included.
  let head: ByteBuffer
  let file: any DiskFile
  let store: SegmentStore

  /// Blocks read at a time by `verifyAll`.
  static let blocksARead = 16

  var record: ChunkRecord {
    header.record
  }

  /// Whether the record stands together with others.
  var isSmall: Bool {
    RecordHeader.bytes(for: record.chunk, isAligned: false) + Int(record.chunk.length)
      <= Segment.maxGatheredBytes
  }

  func read(blocks: Range<Int>) async throws -> VerifiedBlocks {
    precondition(
      !blocks.isEmpty && blocks.lowerBound >= 0 && blocks.upperBound <= header.blocks.count,
      "blocks \(blocks) of a chunk of \(header.blocks.count)")
    let start = blocks.lowerBound * BlockChecksums.blockBytes
    let end = min(blocks.upperBound * BlockChecksums.blockBytes, Int(record.chunk.length))
    let (bytes, hasWaited) = try await payload(start..<end)
    guard bytes.readableBytes == end - start else {
      throw damaged("its segment is cut short")
    }
    var checksums = BlockChecksums(expectedBytes: end - start)
    checksums.update(bytes)
    let found = checksums.blocks
    let expected = Array(header.blocks[blocks])
    guard found == expected else {
      let bad = zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset
      throw damaged("block \(blocks.lowerBound + (bad ?? 0)) has another checksum")
    }
    return VerifiedBlocks(
      offset: UInt32(start), checksums: expected, bytes: bytes, hasWaited: hasWaited)
  }

  func close() async {
    store.unpin(header.place.segment)
  }

  /// Reads and verifies every block.
  func verifyAll() async throws {
    guard !header.blocks.isEmpty else { return }
    let all = 0..<header.blocks.count
    try await read(blocks: all, pieceBlocks: SegmentReader.blocksARead, ahead: 0) { _ in }
  }

  /// Bytes of the payload, as they are on disk, and whether that had to be waited for.
  private func payload(
    _ range: Range<Int>
  ) async throws(StoreError) -> (bytes: ByteBuffer, hasWaited: Bool) {
    let start = header.byteCount + range.lowerBound
    if let bytes = head.getSlice(at: head.readerIndex + start, length: range.count) {
      return (bytes, false)
    }
    do throws(StoreError) {
      let read = try await file.readTwice(
        at: header.place.offset + start, length: range.count)
      return (read.bytes, read.hasWaited)
    } catch {
      // A lack of memory says nothing about the chunk.
      guard error.code != .unavailable else { throw error }
      throw damaged("it can't be read: \(error.message)")
    }
  }

  /// Notes and tells that the chunk is damaged.
  private func damaged(_ what: String) -> StoreError {
    store.noteDamage(record.chunk.id, at: header.place, what)
    return StoreError.damaged(record.chunk.id, what)
  }
}

extension DiskFile {
  /// Reads, and once more where the disk fails: what it can't read twice is as good as damaged.
  fileprivate func readTwice(at offset: Int, length: Int) async throws(StoreError) -> DiskRead {
    do throws(StoreError) {
      return try await read(at: offset, length: length)
    } catch {
      return try await read(at: offset, length: length)
    }
  }

  /// Reads, and where the disk fails, block by block up to the first one that can't be read: more was asked for
  /// than may be needed.
  fileprivate func readWhatCanBe(
    at offset: Int, length: Int
  ) async throws(StoreError) -> DiskRead {
    do throws(StoreError) {
      return try await read(at: offset, length: length)
    } catch {
      var position = DiskBuffer.roundUp(offset + 1)
      var whole = try await read(at: offset, length: min(position - offset, length))
      while position < offset + length {
        let next = min(position + DiskBuffer.alignment, offset + length)
        guard let block = try? await read(at: position, length: next - position) else { break }
        whole.bytes.writeImmutableBuffer(block.bytes)
        position = next
      }
      return whole
    }
  }
}

extension SegmentStore {
  /// What a look at the index gives a reader.
  private enum Target {
    case nothing
    case record(ChunkIndex.Entry, (any DiskFile)?)
  }

  /// Finds a chunk's record and verifies its header; reads no more than that if nothing but the header
  /// will be wanted. To be closed.
  func openRecord(_ id: ChunkID, headOnly: Bool = false) async throws(StoreError) -> SegmentReader {
    let target = shell.withLock { shell -> Target in
      guard let entry = shell.state.index[id] else {
        return .nothing
      }
      shell.state.segments[entry.place.segment]?.pins += 1
      return .record(entry, shell.state.segments[entry.place.segment]?.reader)
    }
    switch target {
    case .nothing: throw absence(of: id)
    case .record(let entry, let known):
      do throws(StoreError) {
        return try await readRecord(id, entry, known: known, headOnly: headOnly)
      } catch {
        unpin(entry.place.segment)
        throw error
      }
    }
  }

  private func readRecord(
    _ id: ChunkID, _ entry: ChunkIndex.Entry, known: (any DiskFile)?, headOnly: Bool
  ) async throws(StoreError) -> SegmentReader {
    let file: any DiskFile
    if let known {
      file = known
    } else {
      do throws(StoreError) {
        file = try await readerTwice(of: entry.place.segment)
      } catch {
        // A lack of descriptors or memory says nothing about the chunk.
        guard [.notFound, .internal].contains(error.code) else { throw error }
        throw damaged(id, entry, "its segment can't be opened: \(error.message)")
      }
    }
    let isWhole = !headOnly && Int(entry.length) <= Segment.maxGatheredBytes
    let head: DiskRead
    do throws(StoreError) {
      head = try await file.readWhatCanBe(
        at: entry.place.offset,
        length: isWhole
          ? SegmentStore.maxSmallHeaderBytes + Int(entry.length) : RecordHeader.maxBytes)
    } catch {
      throw damaged(id, entry, "it can't be read: \(error.message)")
    }
    do throws(StoreError) {
      let header = try RecordHeader(decoding: head.bytes, at: entry.place, key: nil)
      guard header.kind == .chunk, header.record.chunk.id == id,
        header.record.chunk.length == entry.length
      else { throw StoreError(.dataLoss, "another record stands in its place") }
      return SegmentReader(header: header, head: head.bytes, file: file, store: self)
    } catch {
      throw damaged(id, entry, error.message)
    }
  }

  /// Opens a segment for reading, and tries it once more where the disk fails.
  private func readerTwice(of number: UInt32) async throws(StoreError) -> any DiskFile {
    do throws(StoreError) {
      return try await reader(of: number)
    } catch {
      return try await reader(of: number)
    }
  }

  /// The most bytes of the header of a record that is read at once: one block and the longest name.
  static let maxSmallHeaderBytes =
    (RecordHeader.fixedBytes + 4 + Name.maxBucketBytes + Name.maxKeyBytes + 7) / 8 * 8

  /// Notes that a record was found damaged.
  func noteDamage(_ id: ChunkID, at place: RecordPlace, _ what: String) {
    shell.withLock { shell in
      guard let entry = shell.state.index[id], entry.place == place, !entry.isDamaged else {
        return
      }
      shell.state.noteDamage(id, at: place)
      shell.report(StorePaths.segment(place.segment), "chunk \(id) is damaged: \(what)")
    }
  }

  /// Notes and tells that a chunk's record is damaged.
  private func damaged(_ id: ChunkID, _ entry: ChunkIndex.Entry, _ what: String) -> StoreError {
    noteDamage(id, at: entry.place, what)
    return StoreError.damaged(id, what)
  }
}
