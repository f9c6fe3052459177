import Checksum
import NIOCore
import StoreModel

/// The end of a sealed segment: what stands in it, so that it need not be read when the store opens.
/// `FORMAT.md` describes the bytes.
struct SegmentCheckpoint: Sendable, Hashable {
  /// The last bytes of a sealed segment: where its lists are.
  struct Footer: Sendable, Hashable {
    /// The segment's number.
    var number: UInt32
    /// The disk that it was made on.
    var disk: UInt64
    /// Where the lists begin: a multiple of the disk's block, behind the last record.
    var offset: UInt64
    /// How many entries there are.
    var entryCount: UInt32
    /// How many kills.
    var killCount: UInt32
    /// CRC-32C of the entries' bytes.
    var entriesChecksum: UInt32
    /// CRC-32C of the kills' bytes.
    var killsChecksum: UInt32
    /// About how many bytes the segment's records took, dead ones included.
    var writtenBytes: UInt64
    /// The last commit that is known to have been durable; a damaged record of a later one was torn before it
    /// was acknowledged. The highest number where there is no such record.
    var durableBatch: UInt64

    /// Bytes of it: a whole disk block.
    static let bytes = DiskBuffer.alignment
    /// The first 8 bytes, read as a little-endian number: `HFend`, CR, LF, 0x1A.
    static let magic: UInt64 = 0x1A0A_0D64_6E65_4648
    /// The version this code writes.
    static let version: UInt32 = 3
    /// The oldest version that it reads.
    private static let oldVersion: UInt32 = 2
    /// Where its second copy begins, in the same block: for bits that flip.
    private static let copyOffset = 2_048

    /// Where the entries are.
    var entriesRange: Range<Int> {
      Int(offset)..<Int(offset) + Int(entryCount) * SegmentCheckpoint.entryBytes
    }

    /// Where the kills are.
    var killsRange: Range<Int> {
      entriesRange.upperBound..<entriesRange.upperBound
        + Int(killCount) * SegmentCheckpoint.killBytes
    }

    /// Bytes of the segment's file.
    var fileBytes: Int {
      DiskBuffer.roundUp(killsRange.upperBound) + Footer.bytes
    }

    /// Appends it.
    func encode(to text: inout ByteBuffer) {
      var own = ByteBuffer()
      own.writeMultipleIntegers(
        Footer.magic, Footer.version, number, disk, offset, entryCount, killCount,
        entriesChecksum, killsChecksum, writtenBytes, durableBatch, endianness: .little)
      own.writeInteger(CRC32C.checksum(of: own), endianness: .little)
      for place in [0, Footer.copyOffset] {
        text.writeImmutableBuffer(own)
        let end = place == 0 ? Footer.copyOffset : Footer.bytes
        text.writeRepeatingByte(0, count: end - place - own.readableBytes)
      }
    }

    /// Describes a checkpoint.
    init(
      number: UInt32, disk: UInt64, offset: UInt64, entryCount: UInt32, killCount: UInt32,
      entriesChecksum: UInt32, killsChecksum: UInt32, writtenBytes: UInt64, durableBatch: UInt64
    ) {
      self.number = number
      self.disk = disk
      self.offset = offset
      self.entryCount = entryCount
      self.killCount = killCount
      self.entriesChecksum = entriesChecksum
      self.killsChecksum = killsChecksum
      self.writtenBytes = writtenBytes
      self.durableBatch = durableBatch
    }

    /// Reads a footer; nil when these bytes are none, or damaged.
    ///
    /// - Parameters:
    ///   - bytes: the file's last block.
    ///   - fileBytes: bytes of the whole file.
    init?(decoding bytes: ByteBuffer, fileBytes: Int) {
      let copy = bytes.getSlice(
        at: bytes.readerIndex + Footer.copyOffset, length: bytes.readableBytes - Footer.copyOffset)
      guard
        let footer = Footer(decodingCopy: bytes, fileBytes: fileBytes)
          ?? copy.flatMap({ Footer(decodingCopy: $0, fileBytes: fileBytes) })
      else { return nil }
      self = footer
    }

    private init?(decodingCopy bytes: ByteBuffer, fileBytes: Int) {
      var text = bytes
      guard
        let (magic, version, number, disk, offset) = text.readMultipleIntegers(
          endianness: .little, as: (UInt64, UInt32, UInt32, UInt64, UInt64).self),
        let (entries, kills, entriesChecksum, killsChecksum, writtenBytes) =
          text.readMultipleIntegers(
            endianness: .little, as: (UInt32, UInt32, UInt32, UInt32, UInt64).self),
        magic == Footer.magic, (Footer.oldVersion...Footer.version).contains(version),
        let durable = version == Footer.oldVersion
          ? UInt64.max : text.readInteger(endianness: .little),
        let used = bytes.getSlice(
          at: bytes.readerIndex, length: text.readerIndex - bytes.readerIndex),
        let checksum = text.readInteger(endianness: .little, as: UInt32.self),
        CRC32C.checksum(of: used) == checksum,
        offset >= SegmentHeader.bytes, offset <= UInt64(fileBytes)
      else { return nil }
      self.init(
        number: number, disk: disk, offset: offset, entryCount: entries, killCount: kills,
        entriesChecksum: entriesChecksum, killsChecksum: killsChecksum,
        // No more than there is, whatever it says.
        writtenBytes: min(writtenBytes, offset), durableBatch: durable)
      guard self.fileBytes == fileBytes else { return nil }
    }
  }

  /// The chunks that counted when the segment was sealed.
  var entries: [SegmentEntry]
  /// The records that the segment's records ended, its own among them, as far as their segments were still there
  /// when it was sealed, and those of deletions that were still remembered.
  var kills: [RecordKill]
  /// About how many bytes its records took, dead ones included.
  var writtenBytes: Int
  /// The last commit that is known to have been durable, where there are torn records of later ones.
  var durableBatch = UInt64.max

  /// Bytes of an entry.
  static let entryBytes = 24
  /// Bytes of a kill: never fewer than of an entry.
  static let killBytes = 32

  /// How many bytes a checkpoint of so many entries and kills needs behind the records.
  static func bytes(entries: Int, kills: Int) -> Int {
    DiskBuffer.roundUp(entries * entryBytes + kills * killBytes) + Footer.bytes
  }

  /// The bytes to write at `offset` of the segment, which end its file.
  func encode(number: UInt32, disk: UInt64, offset: Int) -> ByteBuffer {
    var lists = ByteBufferAllocator().buffer(
      capacity: SegmentCheckpoint.bytes(entries: entries.count, kills: kills.count))
    for entry in entries {
      lists.writeMultipleIntegers(
        entry.id.group, entry.id.index, entry.id.upload, entry.unit, entry.length,
        endianness: .little)
    }
    let entriesChecksum = CRC32C.checksum(of: lists)
    let entriesBytes = lists.readableBytes
    for kill in kills {
      lists.writeMultipleIntegers(
        kill.id.group, kill.id.index, kill.id.upload, kill.place.segment, kill.place.unit,
        kill.deletedAt, endianness: .little)
    }
    let killsChecksum = CRC32C.checksum(
      of: lists.getSlice(at: entriesBytes, length: lists.readableBytes - entriesBytes)
        ?? ByteBuffer())
    lists.writeRepeatingByte(
      0, count: DiskBuffer.roundUp(lists.readableBytes) - lists.readableBytes)
    Footer(
      number: number, disk: disk, offset: UInt64(offset), entryCount: UInt32(entries.count),
      killCount: UInt32(kills.count), entriesChecksum: entriesChecksum,
      killsChecksum: killsChecksum, writtenBytes: UInt64(writtenBytes), durableBatch: durableBatch
    ).encode(to: &lists)
    return lists
  }

  /// Reads entries; nil when they are damaged.
  static func entries(_ bytes: ByteBuffer, footer: Footer) -> [SegmentEntry]? {
    guard
      bytes.readableBytes == footer.entriesRange.count,
      CRC32C.checksum(of: bytes) == footer.entriesChecksum
    else { return nil }
    return entries(bytes)
  }

  /// Reads entries, as they are.
  static func entries(_ bytes: ByteBuffer) -> [SegmentEntry] {
    var text = bytes
    var entries: [SegmentEntry] = []
    entries.reserveCapacity(bytes.readableBytes / entryBytes)
    while let (group, index, upload, unit, length) = text.readMultipleIntegers(
      endianness: .little, as: (UInt32, UInt32, UInt64, UInt32, UInt32).self)
    {
      entries.append(
        SegmentEntry(
          id: ChunkID(group: group, upload: upload, index: index), unit: unit, length: length))
    }
    return entries
  }

  /// Reads kills; nil when they are damaged.
  static func kills(_ bytes: ByteBuffer, footer: Footer) -> [RecordKill]? {
    guard
      bytes.readableBytes == footer.killsRange.count,
      CRC32C.checksum(of: bytes) == footer.killsChecksum
    else { return nil }
    var text = bytes
    var kills: [RecordKill] = []
    while let (group, index, upload, segment, unit, deletedAt) = text.readMultipleIntegers(
      endianness: .little, as: (UInt32, UInt32, UInt64, UInt32, UInt32, Int64).self)
    {
      kills.append(
        RecordKill(
          id: ChunkID(group: group, upload: upload, index: index),
          place: RecordPlace(segment: segment, unit: unit), deletedAt: deletedAt))
    }
    return kills
  }
}

extension SegmentCheckpoint {
  /// Reads and verifies a segment's checkpoint, a part at a time: there may be a million entries.
  ///
  /// - Throws: `dataLoss` when it is damaged, and what keeps it from being read.
  static func verify(_ file: any DiskFile, number: UInt32) async throws(StoreError) {
    let size = try await file.size().bytes
    guard
      let footer = try await SegmentRecovery.footer(of: file, number: number, fileBytes: size)
    else { throw StoreError(.dataLoss, "its end is damaged or gone") }
    for (range, checksum) in [
      (footer.entriesRange, footer.entriesChecksum), (footer.killsRange, footer.killsChecksum),
    ] {
      var sum = CRC32C()
      for start in stride(from: range.lowerBound, to: range.upperBound, by: verifiedPart) {
        let count = min(verifiedPart, range.upperBound - start)
        sum.update(try await file.read(at: start, length: count).bytes)
      }
      guard sum.value == checksum else { throw StoreError(.dataLoss, "its checkpoint is damaged") }
    }
  }

  /// Bytes that are verified at a time.
  private static let verifiedPart = 256 << 10
}
