import Checksum
import NIOCore
import StoreModel

/// What stands at the beginning of a chunk's file: all that is known of the chunk, so that an index, or
/// the namespace, can be rebuilt from the files alone.
///
/// All numbers are little-endian. The payload follows the header, and zeros up to the next multiple of
/// 4 KiB follow the payload.
///
/// | offset | bytes | |
/// | --- | --- | --- |
/// | 0 | 8 | magic: `HFchunk` and a line feed |
/// | 8 | 2 | version: 1 |
/// | 10 | 2 | flags: 0 |
/// | 12 | 4 | bytes of the header: a multiple of 4,096 |
/// | 16 | 4 | CRC-32C of the whole header with zero here |
/// | 20 | 4 | id: group |
/// | 24 | 8 | id: upload |
/// | 32 | 4 | id: index |
/// | 36 | 4 | bytes of the payload |
/// | 40 | 8 | epoch |
/// | 48 | 4 | CRC-32C of the payload |
/// | 52 | 2 | bytes of the bucket |
/// | 54 | 2 | bytes of the key |
/// | 56 | 4 | blocks of 64 KiB |
/// | 60 | 4 | 0 |
/// | 64 | | CRC-32C of each block, 4 bytes each; bucket; key; zeros |
struct ChunkFileHeader: Sendable, Hashable {
  /// The chunk.
  var record: ChunkRecord
  /// The checksum of each block.
  var blocks: [UInt32]

  /// The most bytes a header has: a 64 MiB chunk with the longest name.
  static let maxBytes = 8_192
  /// The first 8 bytes, read as a little-endian number.
  static let magic: UInt64 = 0x0A6B_6E75_6863_4648
  /// The version this code reads and writes.
  static let version: UInt16 = 1
  /// Bytes before the block checksums.
  static let fixedBytes = 64
  /// Where the header's own checksum stands.
  private static let checksumOffset = 16

  /// How many bytes a chunk's header has.
  static func bytes(for chunk: NewChunk) -> Int {
    let blocks = BlockChecksums.blockCount(bytes: Int(chunk.length))
    return DiskBuffer.roundUp(
      fixedBytes + 4 * blocks + chunk.name.bucket.utf8.count + chunk.name.key.utf8.count)
  }

  /// How many bytes a chunk's file has.
  static func fileBytes(for chunk: NewChunk) -> Int {
    bytes(for: chunk) + DiskBuffer.roundUp(Int(chunk.length))
  }

  /// How many bytes this header has.
  var byteCount: Int {
    ChunkFileHeader.bytes(for: record.chunk)
  }

  /// Writes the header at the beginning of a buffer, which is as long as it at least.
  func encode(into buffer: DiskBuffer) {
    let chunk = record.chunk
    let count = byteCount
    var text = ByteBufferAllocator().buffer(capacity: count)
    text.writeMultipleIntegers(
      ChunkFileHeader.magic, ChunkFileHeader.version, UInt16(0), UInt32(count), UInt32(0),
      chunk.id.group, chunk.id.upload, chunk.id.index, chunk.length, chunk.epoch, record.checksum,
      endianness: .little)
    text.writeMultipleIntegers(
      UInt16(chunk.name.bucket.utf8.count), UInt16(chunk.name.key.utf8.count),
      UInt32(blocks.count), UInt32(0), endianness: .little)
    for block in blocks { text.writeInteger(block, endianness: .little) }
    text.writeString(chunk.name.bucket)
    text.writeString(chunk.name.key)
    text.writeRepeatingByte(0, count: count - text.readableBytes)
    text.setInteger(
      CRC32C.checksum(of: text), at: ChunkFileHeader.checksumOffset, endianness: .little)
    text.withUnsafeReadableBytes { buffer.bytes.copyMemory(from: $0) }
  }

  /// Reads a header.
  ///
  /// - Parameter head: the file's beginning: its first `maxBytes`, or all of it where it is shorter.
  /// - Throws: `StoreError.dataLoss` that says what is wrong with it.
  init(decoding head: ByteBuffer) throws(StoreError) {
    guard var text = try ChunkFileHeader.verified(head) else {
      throw StoreError(.dataLoss, "the header's checksum does not fit")
    }
    text.moveReaderIndex(forwardBy: 20)
    guard
      let (group, upload, index, length, epoch, checksum) = text.readMultipleIntegers(
        endianness: .little, as: (UInt32, UInt64, UInt32, UInt32, UInt64, UInt32).self),
      let (bucketBytes, keyBytes, blockCount, _) = text.readMultipleIntegers(
        endianness: .little, as: (UInt16, UInt16, UInt32, UInt32).self),
      (1...ChunkLimits.maxBytes).contains(length),
      Int(blockCount) == BlockChecksums.blockCount(bytes: Int(length)),
      let blocks = ChunkFileHeader.readBlocks(&text, count: Int(blockCount)),
      let bucket = text.readBytes(length: Int(bucketBytes)),
      let key = text.readBytes(length: Int(keyBytes)),
      let bucket = String(validating: bucket, as: UTF8.self),
      let key = String(validating: key, as: UTF8.self)
    else {
      throw StoreError(.dataLoss, "the header contradicts itself")
    }
    let chunk = NewChunk(
      id: ChunkID(group: group, upload: upload, index: index), epoch: epoch, length: length,
      name: try ChunkFileHeader.name(bucket: bucket, key: key))
    self.init(record: ChunkRecord(chunk: chunk, checksum: checksum), blocks: blocks)
  }

  /// Describes a chunk with its blocks.
  init(record: ChunkRecord, blocks: [UInt32]) {
    self.record = record
    self.blocks = blocks
  }

  /// The header's bytes when its checksum fits, else nil; throws where there is none to compare.
  private static func verified(_ head: ByteBuffer) throws(StoreError) -> ByteBuffer? {
    var text = head
    guard
      let (magic, version, _, count, checksum) = text.readMultipleIntegers(
        endianness: .little, as: (UInt64, UInt16, UInt16, UInt32, UInt32).self),
      magic == ChunkFileHeader.magic
    else {
      throw StoreError(.dataLoss, "it does not begin as a chunk's file does")
    }
    guard version == ChunkFileHeader.version else {
      throw StoreError(.dataLoss, "it has format version \(version), which is not known here")
    }
    guard
      (fixedBytes...maxBytes).contains(Int(count)),
      let header = head.getSlice(at: head.readerIndex, length: Int(count))
    else {
      throw StoreError(.dataLoss, "its header is cut short")
    }
    var crc = CRC32C()
    header.withUnsafeReadableBytes { bytes in
      crc.update(UnsafeRawBufferPointer(rebasing: bytes[..<checksumOffset]))
      crc.update([0, 0, 0, 0])
      crc.update(UnsafeRawBufferPointer(rebasing: bytes[(checksumOffset + 4)...]))
    }
    return crc.value == checksum ? header : nil
  }

  /// Reads so many block checksums; nil where the header is too short for them.
  private static func readBlocks(_ text: inout ByteBuffer, count: Int) -> [UInt32]? {
    guard text.readableBytes >= 4 * count else { return nil }
    return (0..<count).compactMap { _ in text.readInteger(endianness: .little) }
  }

  /// The name that the chunk was written for.
  private static func name(bucket: String, key: String) throws(StoreError) -> Name {
    do {
      return try Name(bucket: bucket, key: key)
    } catch {
      throw StoreError(.dataLoss, "the header has no valid name: \(error.message)")
    }
  }
}
