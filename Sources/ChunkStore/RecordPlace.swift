import StoreModel

/// Where a record stands: a segment and a place in it. No two records ever had the same one, because
/// segments' numbers are not given twice.
struct RecordPlace: Sendable, Hashable, Comparable {
  /// The segment's number, from 1.
  var segment: UInt32
  /// The record's first byte, in units of 64 bytes from the segment's beginning; never 0, where the
  /// segment's own header is.
  var unit: UInt32

  /// What records' places are multiples of, in bytes.
  static let unitBytes = 64

  /// The record's first byte in the segment.
  var offset: Int {
    Int(unit) * RecordPlace.unitBytes
  }

  /// The next multiple of the unit.
  static func roundUp(_ bytes: Int) -> Int {
    (bytes + unitBytes - 1) / unitBytes * unitBytes
  }

  /// By segment, then by place in it: in this order records of one chunk were written.
  static func < (a: RecordPlace, b: RecordPlace) -> Bool {
    (a.segment, a.unit) < (b.segment, b.unit)
  }
}

/// What a segment's checkpoint, and the memory of one that is written to, say of a stored chunk.
struct SegmentEntry: Sendable, Hashable {
  /// The chunk.
  var id: ChunkID
  /// Its record's place in the segment.
  var unit: UInt32
  /// Bytes of its payload.
  var length: UInt32
}

/// Says that another record no longer counts: it was deleted, or another took its place.
struct RecordKill: Sendable, Hashable {
  /// The chunk whose record that was.
  var id: ChunkID
  /// The record that doesn't count.
  var place: RecordPlace
  /// When the chunk was deleted, in seconds since 1970; 0: it was not, another record has it.
  var deletedAt: Int64 = 0

  /// The same record's end, which says nothing of the chunk.
  var withoutDeletion: RecordKill {
    RecordKill(id: id, place: place)
  }
}
