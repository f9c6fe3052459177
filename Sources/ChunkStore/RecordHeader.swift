import Checksum
import NIOCore
import StoreModel

/// What stands at the beginning of a record: all that is known of a chunk, so that the index, or the
/// namespace, can be rebuilt from segments alone. `FORMAT.md` describes the bytes.
struct RecordHeader: Sendable, Hashable {
  /// What a record is.
  enum Kind: UInt8, Sendable {
    /// A chunk, which may take another record's place.
    case chunk = 1
    /// The end of another record.
    case deletion = 2
  }

  /// What it is.
  var kind: Kind
  /// The chunk; of a deletion, only the id is meant, and the epoch says when.
  var record: ChunkRecord
  /// CRC-32C of each 64 KiB block of the payload.
  var blocks: [UInt32]
  /// Where it stands: a header that is found anywhere else is not believed.
  var place: RecordPlace
  /// Its segment's key, which nobody outside knows: without it a header is not believed, so that no chunk's
  /// bytes can pass for records.
  var key: UInt64
  /// The record that no longer counts once this one does.
  var superseded: RecordPlace?
  /// The number of the group commit that made it durable.
  var batch: UInt64
  /// The last group commit that was durable when this header was written.
  var durableBatch: UInt64
  /// Bytes before the payload.
  var byteCount: Int

  /// Bytes before the block checksums.
  static let fixedBytes = 96
  /// The first 4 bytes, read as a little-endian number: `HFr` and 0x1A.
  static let magic: UInt32 = 0x1A72_4648
  /// The version this code writes; version 1, which had no key, is read as well.
  static let version: UInt8 = 2
  /// The most bytes a header has: a 64 MiB chunk with the longest name, in whole disk blocks.
  static let maxBytes = 8_192
  /// Where the header's own checksum stands.
  private static let checksumOffset = 12
  /// Where the place, the commit's number and the key stand.
  private static let placeOffset = 16
  private static let batchOffset = 64
  private static let keyOffset = 80

  /// How many bytes a chunk's header has, if its payload begins on a disk block of its own or not.
  static func bytes(for chunk: NewChunk, isAligned: Bool) -> Int {
    let blocks = BlockChecksums.blockCount(bytes: Int(chunk.length))
    let count =
      fixedBytes + 4 * blocks + chunk.name.bucket.utf8.count + chunk.name.key.utf8.count
    return isAligned ? DiskBuffer.roundUp(count) : (count + 7) / 8 * 8
  }

  /// How many bytes a deletion has, header and all.
  static let deletionBytes = 128

  /// Bytes of the whole record with what fills it up to the next one's place.
  var recordBytes: Int {
    RecordPlace.roundUp(byteCount + Int(record.chunk.length))
  }

  /// What it kills.
  var kill: RecordKill? {
    superseded.map {
      RecordKill(
        id: record.chunk.id, place: $0,
        deletedAt: kind == .deletion ? Int64(clamping: record.chunk.epoch) : 0)
    }
  }

  /// A chunk's header, before it has its place.
  static func chunk(
    _ record: ChunkRecord, blocks: [UInt32], superseding superseded: RecordPlace?,
    isAligned: Bool
  ) -> RecordHeader {
    RecordHeader(
      kind: .chunk, record: record, blocks: blocks, place: RecordPlace(segment: 0, unit: 0),
      key: 0, superseded: superseded, batch: 0, durableBatch: 0,
      byteCount: bytes(for: record.chunk, isAligned: isAligned))
  }

  /// The header of a record that only ends another one, before it has its place. When the chunk was
  /// deleted stands where a chunk's record has the epoch.
  static func deletion(_ kill: RecordKill) -> RecordHeader {
    let chunk = NewChunk(
      id: kill.id, epoch: UInt64(clamping: kill.deletedAt), length: 0,
      name: Name(storedBucket: "", key: ""))
    return RecordHeader(
      kind: .deletion, record: ChunkRecord(chunk: chunk, checksum: 0), blocks: [],
      place: RecordPlace(segment: 0, unit: 0), key: 0, superseded: kill.place, batch: 0,
      durableBatch: 0, byteCount: deletionBytes)
  }

  /// Writes the header, `byteCount` bytes, at the beginning of this memory.
  func encode(into target: UnsafeMutableRawBufferPointer) {
    let chunk = record.chunk
    var writer = MemoryWriter(target)
    writer.write(RecordHeader.magic)
    writer.write(RecordHeader.version)
    writer.write(kind.rawValue)
    writer.write(UInt16(0))
    writer.write(UInt32(byteCount))
    writer.write(UInt32(0))
    writer.write(place.segment)
    writer.write(place.unit)
    writer.write(chunk.id.group)
    writer.write(chunk.id.index)
    writer.write(chunk.id.upload)
    writer.write(chunk.epoch)
    writer.write(chunk.length)
    writer.write(record.checksum)
    writer.write(superseded?.segment ?? 0)
    writer.write(superseded?.unit ?? 0)
    writer.write(batch)
    writer.write(durableBatch)
    writer.write(key)
    writer.write(UInt16(chunk.name.bucket.utf8.count))
    writer.write(UInt16(chunk.name.key.utf8.count))
    writer.write(UInt32(blocks.count))
    for block in blocks { writer.write(block) }
    writer.write(utf8: chunk.name.bucket)
    writer.write(utf8: chunk.name.key)
    writer.fill(upTo: byteCount)
    let checksum = CRC32C.checksum(of: UnsafeRawBufferPointer(rebasing: target[..<byteCount]))
    target.storeBytes(
      of: checksum.littleEndian, toByteOffset: RecordHeader.checksumOffset, as: UInt32.self)
  }

  /// Whether these bytes, `fixedBytes` at least, begin as a header does.
  static func hasMagic(_ bytes: UnsafeRawBufferPointer) -> Bool {
    number(in: bytes, at: 0, as: UInt32.self) == magic
  }

  /// Whether a segment's key stands where it does in a header.
  static func hasKey(_ key: UInt64, _ bytes: UnsafeRawBufferPointer) -> Bool {
    number(in: bytes, at: keyOffset, as: UInt64.self) == key
  }

  /// Whether the header that begins here would be whole with this key.
  static func isIntact(_ bytes: UnsafeRawBufferPointer, with key: UInt64) -> Bool {
    let count: UInt32 = number(in: bytes, at: 8)
    guard (fixedBytes...maxBytes).contains(Int(count)), count <= bytes.count else { return false }
    return isIntact(UnsafeRawBufferPointer(rebasing: bytes[..<Int(count)]), key: key)
  }

  /// The place that a header gives for itself, whole or not.
  static func place(in bytes: UnsafeRawBufferPointer) -> RecordPlace {
    RecordPlace(
      segment: number(in: bytes, at: placeOffset), unit: number(in: bytes, at: placeOffset + 4))
  }

  /// The number of the commit that a header gives, whole or not.
  static func batch(in bytes: UnsafeRawBufferPointer) -> UInt64 {
    number(in: bytes, at: batchOffset)
  }

  private static func number<Number: FixedWidthInteger>(
    in bytes: UnsafeRawBufferPointer, at offset: Int, as type: Number.Type = Number.self
  ) -> Number {
    Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
  }

  /// How many bytes the header has that seems to begin here; nil where none does.
  private static func announcedBytes(_ bytes: ByteBuffer) -> Int? {
    let start = bytes.readerIndex
    guard
      bytes.getInteger(at: start, endianness: .little, as: UInt32.self) == magic,
      let version = bytes.getInteger(at: start + 4, as: UInt8.self),
      (1...RecordHeader.version).contains(version),
      let count = bytes.getInteger(at: start + 8, endianness: .little, as: UInt32.self),
      (fixedBytes - 8...maxBytes).contains(Int(count)), count % 8 == 0
    else { return nil }
    return Int(count)
  }

  /// Reads a header.
  ///
  /// - Parameters:
  ///   - bytes: what begins with it; `maxBytes` are always enough.
  ///   - place: where it was read.
  ///   - key: its segment's key; nil: any will do, because the place is known from elsewhere, or because
  ///     the segment has none.
  /// - Throws: `StoreError.dataLoss` that says what is wrong with it.
  init(
    decoding bytes: ByteBuffer, at place: RecordPlace, key: UInt64?
  ) throws(StoreError) {
    guard let count = RecordHeader.announcedBytes(bytes) else {
      throw StoreError(.dataLoss, "no record of a known version begins there")
    }
    guard var text = bytes.getSlice(at: bytes.readerIndex, length: count) else {
      throw StoreError(.dataLoss, "its header is cut short")
    }
    guard text.withUnsafeReadableBytes({ RecordHeader.isIntact($0) }) else {
      throw StoreError(.dataLoss, "the header's checksum does not fit")
    }
    text.moveReaderIndex(forwardBy: 4)
    guard
      let (version, kind, _, _, _, segment, unit) = text.readMultipleIntegers(
        endianness: .little, as: (UInt8, UInt8, UInt16, UInt32, UInt32, UInt32, UInt32).self),
      let kind = Kind(rawValue: kind)
    else {
      throw StoreError(.dataLoss, "it is a record of a kind that is not known here")
    }
    guard place == RecordPlace(segment: segment, unit: unit) else {
      throw StoreError(
        .dataLoss, "its header was written for place \(unit) of segment \(segment)")
    }
    try self.init(
      kind: kind, body: &text, hasKey: version > 1, place: place, byteCount: count)
    guard key == nil || (version > 1 && key == self.key) else {
      throw StoreError(.dataLoss, "its header has another key than its segment")
    }
  }

  /// Reads what follows the place.
  private init(
    kind: Kind, body text: inout ByteBuffer, hasKey: Bool, place: RecordPlace, byteCount: Int
  ) throws(StoreError) {
    let contradiction = StoreError(.dataLoss, "the header contradicts itself")
    guard
      let (group, index, upload, epoch, length, checksum) = text.readMultipleIntegers(
        endianness: .little, as: (UInt32, UInt32, UInt64, UInt64, UInt32, UInt32).self),
      let (deadSegment, deadUnit, batch, durableBatch) = text.readMultipleIntegers(
        endianness: .little, as: (UInt32, UInt32, UInt64, UInt64).self),
      let ownKey = hasKey ? text.readInteger(endianness: .little, as: UInt64.self) : 0,
      let (bucketBytes, keyBytes, blockCount) = text.readMultipleIntegers(
        endianness: .little, as: (UInt16, UInt16, UInt32).self),
      length <= ChunkLimits.maxBytes, (length == 0) == (kind == .deletion),
      kind == .chunk || deadSegment != 0,
      Int(blockCount) == BlockChecksums.blockCount(bytes: Int(length)),
      text.readableBytes >= 4 * Int(blockCount) + Int(bucketBytes) + Int(keyBytes)
    else { throw contradiction }
    let blocks: [UInt32] = (0..<blockCount).compactMap { _ in
      text.readInteger(endianness: .little)
    }
    guard
      let bucket = text.readBytes(length: Int(bucketBytes)),
      let key = text.readBytes(length: Int(keyBytes)),
      let bucket = String(validating: bucket, as: UTF8.self),
      let key = String(validating: key, as: UTF8.self)
    else { throw contradiction }
    let name =
      kind == .deletion
      ? Name(storedBucket: "", key: "") : try RecordHeader.name(bucket: bucket, key: key)
    let chunk = NewChunk(
      id: ChunkID(group: group, upload: upload, index: index), epoch: epoch, length: length,
      name: name)
    self.init(
      kind: kind, record: ChunkRecord(chunk: chunk, checksum: checksum), blocks: blocks,
      place: place, key: ownKey,
      superseded: deadSegment == 0 ? nil : RecordPlace(segment: deadSegment, unit: deadUnit),
      batch: batch, durableBatch: durableBatch, byteCount: byteCount)
  }

  private init(
    kind: Kind, record: ChunkRecord, blocks: [UInt32], place: RecordPlace, key: UInt64,
    superseded: RecordPlace?, batch: UInt64, durableBatch: UInt64, byteCount: Int
  ) {
    self.kind = kind
    self.record = record
    self.blocks = blocks
    self.place = place
    self.key = key
    self.superseded = superseded
    self.batch = batch
    self.durableBatch = durableBatch
    self.byteCount = byteCount
  }

  /// Whether a header's checksum fits its bytes, or would with another key in them.
  private static func isIntact(_ header: UnsafeRawBufferPointer, key: UInt64? = nil) -> Bool {
    var crc = CRC32C()
    crc.update(UnsafeRawBufferPointer(rebasing: header[..<checksumOffset]))
    crc.update([0, 0, 0, 0])
    if let key {
      crc.update(UnsafeRawBufferPointer(rebasing: header[placeOffset..<keyOffset]))
      withUnsafeBytes(of: key.littleEndian) { crc.update($0) }
      crc.update(UnsafeRawBufferPointer(rebasing: header[(keyOffset + 8)...]))
    } else {
      crc.update(UnsafeRawBufferPointer(rebasing: header[placeOffset...]))
    }
    return number(in: header, at: checksumOffset) == crc.value
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
