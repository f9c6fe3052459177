import StoreModel

/// What memory holds of a segment.
struct Segment: Sendable {
  /// A segment's life.
  enum Phase: Sendable, Hashable {
    /// New records go here.
    case active
    /// No room for more; its checkpoint is still to be written.
    case full
    /// It ends with its checkpoint and never grows again.
    case sealed
    /// A write or sync of it failed: nothing more is written to it, and what it holds is to be moved.
    case failed
  }

  /// What was found in a segment when the store opened and may stand in the system's memory alone.
  struct Doubt: Sendable {
    /// Chunks.
    var entries: [SegmentEntry]
    /// What records in doubt ended.
    var kills: [RecordKill]
    /// The segments that may hold what counts if these records turn out not to be on disk.
    var needed: Set<UInt32>
  }

  /// Its number.
  let number: UInt32
  /// What all its records carry, so that nothing else passes for one; 0 where none are written any more.
  var key: UInt64 = 0
  /// Where in its life it is.
  var phase: Phase
  /// When it became the active one, in seconds since 1970.
  var begunAt: Int64 = 0
  /// Whether only deletions and compaction may write to it, because the disk is full.
  var isReserve = false
  /// Bytes that its records and its checkpoint may take.
  var capacity: Int
  /// Bytes of them for which room was set aside; grows up to `capacity`.
  var reserved: Int
  /// Where the next record goes.
  var end: Int
  /// Bytes of the disk that it takes.
  var diskBytes: Int
  /// Bytes of the records that count, about.
  var liveBytes = 0
  /// Bytes of all its records, about, without what stands between them.
  var writtenBytes = 0
  /// How many items its checkpoint has, or would have.
  var items = 0
  /// Extents that were given out and not yet committed or given up.
  var extents = 0
  /// The chunks written to it so far; empty once sealed.
  var entries: [SegmentEntry] = []
  /// What its records ended so far; empty once sealed.
  var kills: [RecordKill] = []
  /// How many records of which segments, its own among them, its records ended.
  var killTargets: [UInt32: Int] = [:]
  /// Deletions that are remembered because of this segment, and the time of the last one, in seconds
  /// since 1970.
  var deletions = (count: 0, last: Int64(0))
  /// For writing, until it is sealed.
  var writer: (any DiskFile)?
  /// For reading, once somebody did.
  var reader: (any DiskFile)?
  /// Who reads from it: while there are any, nothing of it is given back.
  var pins = 0
  /// Ranges of dead records whose room is to be given back.
  var dead: [Range<Int>] = []
  /// `liveBytes` when it was found that a damaged record keeps it from being compacted.
  var stuckAt: Int?
  /// Whether its checkpoint may be in the system's memory alone, because another process wrote it.
  var mayBeUnsynced = false
  /// Whether no sync of it failed since the store opened.
  var isSyncable = true
  /// Whether it was sealed and has lost its end, or what that said of ended records.
  var isCut = false
  /// Whether its file was removed, and that may not outlive a power cut.
  var isRemoved = false
  /// Whether its file is on its way out.
  var isLeaving = false
  /// Whether it was told that something failed with it.
  var hasFailed = false
  /// The last commit that is known to have been durable, where it has torn records of later ones; else the
  /// highest number.
  var durableBatch = UInt64.max
  /// What must be written anew before it can be sealed; nil: nothing.
  var doubt: Doubt?

  /// Records that are larger stand in extents of their own, on disk blocks of their own.
  static let maxGatheredBytes = 64 << 10
  /// The most room that is set aside at a time.
  static let maxReserveStep = 64 << 20
  /// Dead records of at least so many bytes have their room given back, without compaction.
  static let minPunchedBytes = 64 << 10

  /// Whether room inside it may be given back now.
  var mayBePunched: Bool {
    phase != .failed && pins == 0 && !isLeaving && !isRemoved && isSyncable
  }

  /// About how many bytes a chunk's record takes.
  static func recordBytes(length: UInt32) -> Int {
    let length = Int(length)
    return length > maxGatheredBytes
      ? DiskBuffer.alignment + DiskBuffer.roundUp(length)
      : RecordPlace.roundUp(RecordHeader.deletionBytes + length)
  }

  /// Whether it can be verified. A failed one is emptied, but where it can't be, its chunks stay in it. Not what is in
  /// doubt: it may stand in the system's memory alone, which verification has it forget.
  var mayBeScrubbed: Bool {
    !isLeaving && !isRemoved && doubt == nil
      && (phase == .sealed || (phase == .failed && liveBytes > 0))
  }

  /// The whole disk blocks that surely belong to a chunk's record alone; nil when there are none. In a segment
  /// that is not sealed the header is left: it says which other record this one replaced, and until a checkpoint
  /// says so, too, that must not go.
  static func deadRange(_ place: RecordPlace, length: UInt32, isSealed: Bool) -> Range<Int>? {
    let start = DiskBuffer.roundUp(place.offset + (isSealed ? 0 : RecordHeader.maxBytes))
    let end =
      (place.offset + RecordHeader.fixedBytes + Int(length)) / DiskBuffer.alignment
      * DiskBuffer.alignment
    return start < end ? start..<end : nil
  }

  /// The whole disk blocks that dead records, and what stands between them, surely have for themselves.
  ///
  /// - Parameters:
  ///   - entries: neighbouring records of a sealed segment, in the places' order, and all that count there.
  ///   - isDead: which of them no longer count.
  ///   - next: the place of the one behind them; nil: there is none.
  /// - Returns: ranges of the file, in order.
  static func deadRanges(
    _ entries: [SegmentEntry], _ isDead: [Bool], next: UInt32?
  ) -> [Range<Int>] {
    func offset(_ entry: SegmentEntry) -> Int { Int(entry.unit) * RecordPlace.unitBytes }
    var ranges: [Range<Int>] = []
    var place = 0
    while let first = isDead[place...].firstIndex(of: true) {
      // As far as nothing counts: up to the next one that does.
      let end = isDead[first...].firstIndex(of: false) ?? isDead.count
      let last = entries[end - 1]
      let limit =
        end < entries.count
        ? offset(entries[end])
        : next.map { Int($0) * RecordPlace.unitBytes }
          ?? offset(last) + RecordHeader.fixedBytes + Int(last.length)
      let start = DiskBuffer.roundUp(offset(entries[first]))
      let whole = limit / DiskBuffer.alignment * DiskBuffer.alignment
      if start < whole { ranges.append(start..<whole) }
      place = end
    }
    return ranges
  }

  /// About how many bytes it would take with its records one behind the other.
  var packedBytes: Int {
    2 * SegmentHeader.bytes + writtenBytes + SegmentCheckpoint.bytes(entries: items, kills: 0)
  }

  /// Whether an extent of so many bytes, with so many records, and the checkpoint still fit.
  func hasRoom(bytes: Int, records: Int, maxRecords: Int) -> Bool {
    let known = entries.count + kills.count + 2 * extents
    guard known + records <= maxRecords else { return false }
    return neededBytes(forExtent: bytes, records: records) <= capacity
  }

  /// Bytes of the file with such an extent and the checkpoint.
  func neededBytes(forExtent bytes: Int, records: Int) -> Int {
    let known = entries.count + kills.count + 2 * extents
    return DiskBuffer.roundUp(end) + bytes
      + SegmentCheckpoint.bytes(entries: 0, kills: known + 2 * records)
  }

  /// How much room to set aside when so many bytes are needed: the more, the larger it has become.
  func reserve(for needed: Int) -> Int {
    min(max(needed, reserved + min(reserved, Segment.maxReserveStep)), capacity)
  }
}
