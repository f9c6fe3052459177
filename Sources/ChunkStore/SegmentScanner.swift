import Checksum
import NIOCore
import StoreModel

/// Reads a segment's records one after the other, without trusting any of it: for recovery, for checks
/// and for the repair of a checkpoint.
///
/// What is no record is passed over in steps of a record's unit, so that nothing that is damaged hides
/// what stands behind it.
struct SegmentScanner: Sendable {
  /// What stands at a place.
  enum Finding: Sendable, Hashable {
    /// A record, and which of its blocks don't fit their checksums.
    case record(RecordHeader, badBlocks: [Int])
    /// What begins like a record of this segment, but its header is not whole, or another place's: where it
    /// begins, and the number of the commit that it names, which may be what is damaged.
    case brokenHeader(RecordPlace, batch: UInt64)
    /// Bytes that begin no record: from and up to.
    case nothing(Range<Int>)
  }

  private let file: any DiskFile
  /// The segment's number.
  let number: UInt32
  /// The segment's key; nil: it has none, or it isn't known.
  private let key: UInt64?
  /// Where the records end, or what can be read of them.
  private var end: Int
  /// How often something could not be read.
  private var failedReads = 0
  /// Bytes that are passed over where the next block can't be read, either.
  private var stride = DiskBuffer.alignment
  /// What isn't tried, and taken for zeros.
  private var passedOver = 0..<0
  /// What the disk said when a part of the segment could not be read; nil: all could.
  private(set) var failure: StoreError?
  /// What was read last, and where it begins.
  private var window = ByteBuffer()
  private var windowOffset = 0
  private var offset = SegmentHeader.bytes

  /// Bytes that are read at a time.
  private static let windowBytes = 1 << 20
  /// Reads that may fail before the rest is not tried: each may take a disk seconds.
  private static let maxFailedReads = 128

  /// Scans up to `end` for records of a segment of this number and key.
  init(file: any DiskFile, number: UInt32, key: UInt64?, end: Int) {
    self.file = file
    self.number = number
    self.key = key
    self.end = end
  }

  /// What comes next; nil at the end.
  mutating func next() async -> Finding? {
    let start = offset
    while offset < end {
      await load(RecordHeader.maxBytes)
      if let header = header() {
        if start < offset { return .nothing(start..<offset) }
        let bad = await badBlocks(of: header)
        offset += header.recordBytes
        return .record(header, badBlocks: bad)
      }
      if let batch = batchOfBrokenHeader() {
        if start < offset { return .nothing(start..<offset) }
        let place = RecordPlace(
          segment: number, unit: UInt32(clamping: offset / RecordPlace.unitBytes))
        offset += RecordPlace.unitBytes
        return .brokenHeader(place, batch: batch)
      }
      skip()
    }
    return start < offset ? .nothing(start..<min(offset, end)) : nil
  }

  /// The header at the present place, if one is there and its record ends before the end.
  private func header() -> RecordHeader? {
    guard
      let bytes = window.getSlice(
        at: window.readerIndex + offset - windowOffset,
        length: min(RecordHeader.maxBytes, windowOffset + window.readableBytes - offset)),
      let unit = UInt32(exactly: offset / RecordPlace.unitBytes),
      let header = try? RecordHeader(
        decoding: bytes, at: RecordPlace(segment: number, unit: unit), key: key),
      offset + header.recordBytes <= RecordPlace.roundUp(end)
    else { return nil }
    return header
  }

  /// The commit that a header names which is not whole, or another place's, but surely a record's of this segment:
  /// besides the key its magic or its place is right, or it would be whole with the right key. Where no key is known,
  /// magic and place must do. Nil where there is none.
  private func batchOfBrokenHeader() -> UInt64? {
    window.withUnsafeReadableBytes { bytes in
      let bytes = UnsafeRawBufferPointer(rebasing: bytes[(offset - windowOffset)...])
      guard bytes.count >= RecordHeader.fixedBytes else { return nil }
      let place = RecordHeader.place(in: bytes)
      let hasMagic = RecordHeader.hasMagic(bytes)
      let isPlace = place.segment == number && place.offset == offset
      let isOurs: Bool
      if let key {
        isOurs =
          RecordHeader.hasKey(key, bytes)
          ? hasMagic || isPlace
          : hasMagic && isPlace && RecordHeader.isIntact(bytes, with: key)
      } else {
        isOurs = hasMagic && isPlace
      }
      return isOurs ? RecordHeader.batch(in: bytes) : nil
    }
  }

  /// Goes to the next place in the window where a record may begin, or may have begun.
  private mutating func skip() {
    window.withUnsafeReadableBytes { bytes in
      while true {
        offset += RecordPlace.unitBytes
        guard offset - windowOffset + RecordHeader.fixedBytes <= bytes.count else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[(offset - windowOffset)...])
        if RecordHeader.hasMagic(rest) || key.map({ RecordHeader.hasKey($0, rest) }) ?? false {
          return
        }
      }
    }
  }

  /// The blocks of a payload that don't fit.
  private mutating func badBlocks(of header: RecordHeader) async -> [Int] {
    var bad: [Int] = []
    let payload = offset + header.byteCount
    let length = Int(header.record.chunk.length)
    for (block, expected) in header.blocks.enumerated() {
      let start = block * BlockChecksums.blockBytes
      let count = min(BlockChecksums.blockBytes, length - start)
      let bytes = await bytes(at: payload + start, count: count)
      if bytes.readableBytes < count || CRC32C.checksum(of: bytes) != expected {
        bad.append(block)
      }
    }
    return bad
  }

  /// Bytes of the file; fewer at its end.
  private mutating func bytes(at start: Int, count: Int) async -> ByteBuffer {
    if start < windowOffset || start + count > windowOffset + window.readableBytes {
      await load(at: start, atLeast: count)
    }
    let available = max(min(count, windowOffset + window.readableBytes - start), 0)
    return window.getSlice(at: window.readerIndex + start - windowOffset, length: available)
      ?? ByteBuffer()
  }

  /// Makes sure that the window holds so many bytes from the present place, as far as there are.
  private mutating func load(_ count: Int) async {
    let wanted = min(count, end - offset)
    guard offset < windowOffset || offset + wanted > windowOffset + window.readableBytes else {
      return
    }
    await load(at: offset, atLeast: wanted)
  }

  private mutating func load(at start: Int, atLeast count: Int) async {
    let length = max(min(SegmentScanner.windowBytes, RecordPlace.roundUp(end) - start), count)
    if (start..<start + length).overlaps(passedOver) {
      window = await readBlocks(at: start, length: length)
    } else {
      do throws(StoreError) {
        window = try await file.read(at: start, length: length).bytes
        stride = DiskBuffer.alignment
      } catch {
        window = await readBlocks(at: start, length: length)
      }
    }
    windowOffset = start
  }

  /// Reads block by block, so that one that can't be read hides none of the others. Where one follows another,
  /// twice as much is passed over each time: a part of the disk that is gone costs a few reads, and hides no more
  /// than about as much again behind it.
  private mutating func readBlocks(
    at start: Int, length: Int
  ) async -> ByteBuffer {
    var bytes = ByteBuffer()
    var position = start
    while position < start + length {
      if passedOver.contains(position) {
        let next = min(passedOver.upperBound, start + length)
        bytes.writeRepeatingByte(0, count: next - position)
        position = next
        continue
      }
      let next = min(DiskBuffer.roundUp(position + 1), start + length)
      do throws(StoreError) {
        let block = try await file.read(at: position, length: next - position).bytes
        bytes.writeImmutableBuffer(block)
        guard block.readableBytes == next - position else { break }
        stride = DiskBuffer.alignment
        position = next
      } catch {
        failure = error
        failedReads += 1
        guard failedReads <= SegmentScanner.maxFailedReads else {
          end = position
          break
        }
        let block = DiskBuffer.roundUp(position + 1) - DiskBuffer.alignment
        passedOver = block..<block + stride
        stride *= 2
      }
    }
    return bytes
  }
}
