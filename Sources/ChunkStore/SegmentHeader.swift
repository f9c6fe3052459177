import Checksum
import NIOCore
import StoreModel

/// The first block of a segment: which one it is and whose. `FORMAT.md` describes the bytes.
struct SegmentHeader: Sendable, Hashable {
  /// The segment's number, from 1; rises, and is never given twice on a disk.
  var number: UInt32
  /// The disk that it was made on.
  var disk: UInt64

  /// Bytes of it: a whole disk block.
  static let bytes = DiskBuffer.alignment
  /// The first 8 bytes, read as a little-endian number: `HFseg`, CR, LF, 0x1A.
  static let magic: UInt64 = 0x1A0A_0D67_6573_4648
  /// The version this code reads and writes.
  static let version: UInt32 = 1
  /// Bytes that mean something; zeros follow.
  private static let usedBytes = 28

  /// Writes it into the first bytes of a buffer.
  func encode(into target: UnsafeMutableRawBufferPointer) {
    var text = ByteBuffer()
    text.writeMultipleIntegers(
      SegmentHeader.magic, SegmentHeader.version, number, disk, endianness: .little)
    text.writeInteger(CRC32C.checksum(of: text), endianness: .little)
    text.writeRepeatingByte(0, count: SegmentHeader.bytes - text.readableBytes)
    text.withUnsafeReadableBytes { target.copyMemory(from: $0) }
  }

  /// Describes a segment.
  init(number: UInt32, disk: UInt64) {
    self.number = number
    self.disk = disk
  }

  /// Reads it.
  ///
  /// - Throws: `StoreError.dataLoss` when it is damaged, `preconditionFailed` when it is of a newer
  ///   version.
  init(decoding bytes: ByteBuffer) throws(StoreError) {
    var text = bytes
    guard
      let (magic, version, number, disk, checksum) = text.readMultipleIntegers(
        endianness: .little, as: (UInt64, UInt32, UInt32, UInt64, UInt32).self),
      magic == SegmentHeader.magic,
      let used = bytes.getSlice(
        at: bytes.readerIndex, length: SegmentHeader.usedBytes - MemoryLayout<UInt32>.size),
      CRC32C.checksum(of: used) == checksum, number > 0
    else { throw StoreError(.dataLoss, "it does not begin as a segment does") }
    guard version == SegmentHeader.version else {
      throw StoreError(
        .preconditionFailed, "it is a segment of version \(version), which is not known here")
    }
    self.init(number: number, disk: disk)
  }
}
