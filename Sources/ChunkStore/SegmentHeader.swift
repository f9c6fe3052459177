import Checksum
import NIOCore
import StoreModel

/// The first block of a segment: which one it is and whose. `FORMAT.md` describes the bytes.
struct SegmentHeader: Sendable, Hashable {
  /// The segment's number, from 1; rises, and is never given twice on a disk.
  var number: UInt32
  /// The disk that it was made on.
  var disk: UInt64
  /// A random number that all its records carry, and that leaves the disk with none of them; nil in version 1,
  /// which had none.
  var key: UInt64?

  /// The key of a segment in which nothing counts any more, and that is about to be removed: no record has it.
  static let emptiedKey: UInt64 = 0

  /// Bytes of it: a whole disk block.
  static let bytes = DiskBuffer.alignment
  /// The first 8 bytes, read as a little-endian number: `HFseg`, CR, LF, 0x1A.
  static let magic: UInt64 = 0x1A0A_0D67_6573_4648
  /// The version this code writes; version 1 is read as well.
  static let version: UInt32 = 2
  /// Where it is said again, so that a flipped bit costs nothing.
  private static let copyOffset = bytes / 2

  /// Writes it into the first bytes of a buffer.
  func encode(into target: UnsafeMutableRawBufferPointer) {
    var once = ByteBuffer()
    once.writeMultipleIntegers(
      SegmentHeader.magic, SegmentHeader.version, number, disk, key ?? 0, endianness: .little)
    once.writeInteger(CRC32C.checksum(of: once), endianness: .little)
    once.writeRepeatingByte(0, count: SegmentHeader.copyOffset - once.readableBytes)
    for start in [0, SegmentHeader.copyOffset] {
      once.withUnsafeReadableBytes {
        UnsafeMutableRawBufferPointer(rebasing: target[start...]).copyMemory(from: $0)
      }
    }
  }

  /// Describes a segment.
  init(number: UInt32, disk: UInt64, key: UInt64?) {
    self.number = number
    self.disk = disk
    self.key = key
  }

  /// Reads it.
  ///
  /// - Parameter bytes: the segment's first block.
  /// - Throws: `StoreError.dataLoss` when it is damaged, `preconditionFailed` when it is of a newer
  ///   version.
  init(decoding bytes: ByteBuffer) throws(StoreError) {
    let copy = bytes.getSlice(
      at: bytes.readerIndex + SegmentHeader.copyOffset,
      length: bytes.readableBytes - SegmentHeader.copyOffset)
    for place in [bytes, copy ?? ByteBuffer()] {
      guard let found = try SegmentHeader.one(place) else { continue }
      self = found
      return
    }
    throw StoreError(.dataLoss, "it does not begin as a segment does")
  }

  /// One of the two copies; nil when it is damaged.
  private static func one(_ bytes: ByteBuffer) throws(StoreError) -> SegmentHeader? {
    var text = bytes
    guard
      let (magic, version, number, disk) = text.readMultipleIntegers(
        endianness: .little, as: (UInt64, UInt32, UInt32, UInt64).self),
      magic == SegmentHeader.magic, number > 0
    else { return nil }
    let key = version == 1 ? nil : text.readInteger(endianness: .little, as: UInt64.self)
    let used = bytes.readableBytes - text.readableBytes
    guard
      bytes.getSlice(at: bytes.readerIndex, length: used).map({ CRC32C.checksum(of: $0) })
        == text.readInteger(endianness: .little, as: UInt32.self)
    else { return nil }
    guard (1...SegmentHeader.version).contains(version) else {
      throw StoreError(
        .preconditionFailed, "it is a segment of version \(version), which is not known here")
    }
    return SegmentHeader(number: number, disk: disk, key: key)
  }
}
