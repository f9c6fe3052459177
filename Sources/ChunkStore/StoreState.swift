import StoreModel

/// What a store decides: which chunks there are, where records go, what becomes of them when a commit
/// ends, and which segment to compact. Values only; `SegmentStore` does the reading and writing.
struct StoreState: Sendable {
  /// Who wants room; the later ones get it on a full disk.
  enum Use: Sendable, Hashable, CaseIterable {
    /// A new chunk.
    case put
    /// A deletion, which may use half of the reserve: it gives room only once something was compacted.
    case deletion
    /// Compaction.
    case upkeep
  }

  /// The sizes of a store's parts.
  struct Limits: Sendable, Hashable {
    /// Bytes of a segment; one whose first record is larger is larger.
    var segmentBytes: Int
    /// Records of a segment: what bounds the memory of its checkpoint.
    var maxRecords = 1 << 20
    /// How long a deletion is remembered at least, in seconds, while there are no more than `maxDeletions`.
    var deletionSeconds: Int64 = 7 * 24 * 3_600
    /// The most deletions that are remembered: some 40 MB.
    var maxDeletions = 1 << 20

    /// The room that is set aside for a new segment at first, in bytes.
    var firstReserveBytes: Int {
      DiskBuffer.roundUp(min(segmentBytes / 4, 16 << 20))
    }

    /// The most bytes of the reserve.
    var maxReserveBytes = 64 << 20

    /// Bytes of the reserve: less than a segment, because compaction of a full disk gives the room of what
    /// it has moved back on its way.
    var reserveBytes: Int {
      min(segmentBytes, maxReserveBytes)
    }
  }

  let limits: Limits
  var index: ChunkIndex
  var segments: [UInt32: Segment] = [:]
  /// The segment that new records go to.
  private(set) var active: UInt32?
  /// The number of the next segment.
  var nextNumber: UInt32 = 1
  /// Records that may or may not be on disk after a failed sync, or that a crash left twice: they must
  /// be ended together with the record that counts.
  var ghosts: [ChunkID: [RecordPlace]] = [:]
  /// Chunks of which a read found bytes damaged.
  private(set) var damaged: Set<ChunkID> = []
  /// Chunks that were deleted not long ago: the segments whose records say so.
  private(set) var deleted: ChunkIndex
  /// Whether room is set aside for deletions and compaction; where there is none, the disk is full.
  var hasReserve = true {
    didSet { if hasReserve != oldValue { attention.formUnion(segments.keys) } }
  }
  /// Segments in which something changed since there was nothing to do for them.
  var attention: Set<UInt32> = []
  /// Segments with records in doubt: hardly ever any.
  var inDoubt: Set<UInt32> = []
  /// Segments that couldn't be read wholly when the store opened: there may be more in them than is known. So
  /// they stay, no chunk is known not to be here, and no deletion is forgotten.
  var unread: Set<UInt32> = []
  /// Segments that are gone, until the marks of that are removed: they may come back, so what ended their records is
  /// kept.
  var gone: Set<UInt32> = []
  /// The highest segment of which something is lost, or can't be read, as far as marks tell of it: a chunk whose deletion
  /// stands there, or lower, may have been stored anew since. 0: there is none.
  var lastLoss: UInt32 = 0
  /// Whether a disk of the node, or what it keeps for others, can't be read, which may tell of deletions of chunks here.
  var lacksOtherDisks = false
  /// Large chunks whose records have their places already and are still to be committed: how many, and the
  /// highest record that was, or may have been, deleted meanwhile.
  private var pending: [ChunkID: (count: Int, deletedUpTo: RecordPlace?)] = [:]
  /// The number of the last commit that began.
  private(set) var batch: UInt64 = 0
  /// The number of the last commit that ended.
  private(set) var durableBatch: UInt64 = 0

  init(limits: Limits, index: ChunkIndex) {
    self.limits = limits
    self.index = index
    deleted = index
  }

  // MARK: Room

  /// What somebody finds who needs room.
  enum Room: Sendable, Hashable {
    /// An extent of the active segment, which begins on a disk block.
    case extent(RecordPlace)
    /// The segment must have room for so many bytes set aside first.
    case grow(UInt32, Int)
    /// A new segment is needed, or the active one is not for this use.
    case segment
  }

  /// Gives out an extent of the active segment.
  mutating func allocate(bytes: Int, records: Int, use: Use) -> Room {
    guard let active, let segment = segments[active] else { return .segment }
    if segment.isReserve {
      guard
        use == .upkeep || (use == .deletion && segment.end + bytes <= segment.capacity / 2)
      else { return .segment }
    }
    guard segment.hasRoom(bytes: bytes, records: records, maxRecords: limits.maxRecords) else {
      retire()
      return .segment
    }
    let needed = segment.neededBytes(forExtent: bytes, records: records)
    guard needed <= segment.reserved else { return .grow(active, segment.reserve(for: needed)) }
    let start = DiskBuffer.roundUp(segment.end)
    segments[active]?.end = start + bytes
    segments[active]?.extents += 1
    return .extent(
      RecordPlace(segment: active, unit: UInt32(start / RecordPlace.unitBytes)))
  }

  /// Ends an extent that was given out: committed or given up.
  mutating func endExtent(_ place: RecordPlace) {
    segments[place.segment]?.extents -= 1
    attention.insert(place.segment)
  }

  /// How large a new segment must be for an extent of so many bytes.
  static func leastBytes(forExtent bytes: Int, records: Int) -> Int {
    SegmentHeader.bytes + DiskBuffer.roundUp(bytes)
      + SegmentCheckpoint.bytes(entries: 0, kills: 2 * records + 2)
  }

  /// Makes a segment the one that new records go to.
  mutating func activate(_ segment: Segment) {
    retire()
    segments[segment.number] = segment
    active = segment.number
  }

  /// Turns away from a segment whose write or sync failed.
  mutating func fail(_ number: UInt32) {
    guard segments[number]?.phase != .sealed else { return }
    segments[number]?.phase = .failed
    if active == number { active = nil }
    attention.insert(number)
  }

  /// Room was set aside in a segment, up to so many bytes.
  mutating func grow(_ number: UInt32, to bytes: Int) {
    guard let segment = segments[number] else { return }
    segments[number]?.diskBytes += bytes - segment.reserved
    segments[number]?.reserved = bytes
  }

  /// No new records go to the active segment.
  mutating func retire() {
    guard let active else { return }
    segments[active]?.phase = .full
    attention.insert(active)
    self.active = nil
  }

  /// No new records go to an active segment that was begun before a time, or, as a clock that jumped has it,
  /// not yet: only what is sealed is verified.
  mutating func retire(activeSince oldest: Int64, now: Int64) {
    guard let active, let segment = segments[active] else { return }
    if segment.begunAt <= oldest || segment.begunAt > now { retire() }
  }

  // MARK: Large chunks under way

  /// A large chunk's record has its place from now on.
  mutating func beginLarge(_ id: ChunkID) {
    pending[id, default: (0, nil)].count += 1
  }

  /// It has been committed, or given up.
  mutating func endLarge(_ id: ChunkID) {
    guard let known = pending[id] else { return }
    if known.count == 1 { pending[id] = nil } else { pending[id]?.count -= 1 }
  }

  /// Whether a record that is on its way stands lower than one that was deleted meanwhile. What does so is
  /// deleted, too, when the store opens next: the chunk must be stored anew.
  func isOvertaken(_ id: ChunkID, at place: RecordPlace) -> Bool {
    pending[id]?.deletedUpTo.map { place < $0 } ?? false
  }

  /// Notes that a chunk's record was deleted, or may have been.
  private mutating func noteDeletion(_ header: RecordHeader) {
    guard !pending.isEmpty, let kill = header.kill, kill.deletedAt > 0,
      let known = pending[kill.id]
    else { return }
    pending[kill.id]?.deletedUpTo = max(known.deletedUpTo ?? kill.place, kill.place)
  }

  // MARK: Commits

  /// Begins a commit.
  ///
  /// - Returns: its number, and the last one that is durable.
  mutating func beginBatch() -> (batch: UInt64, durable: UInt64) {
    batch += 1
    return (batch, durableBatch)
  }

  /// Ends a commit of which everything that did not fail is durable.
  mutating func endBatch(_ number: UInt64) {
    durableBatch = number
  }

  /// Takes a record into account that is durable now.
  mutating func succeed(_ header: RecordHeader) {
    let id = header.record.chunk.id
    switch header.kind {
    case .chunk:
      if let old = index[id] { release(old) }
      damaged.remove(id)
      forgetDeletion(id)
      let length = header.record.chunk.length
      index.set(id, ChunkIndex.Entry(place: header.place, length: length))
      segments[header.place.segment]?.liveBytes += Segment.recordBytes(length: length)
      segments[header.place.segment]?.writtenBytes += Segment.recordBytes(length: length)
      segments[header.place.segment]?.items += 1
      segments[header.place.segment]?.entries.append(
        SegmentEntry(id: id, unit: header.place.unit, length: length))
    case .deletion:
      segments[header.place.segment]?.writtenBytes += RecordHeader.deletionBytes
      segments[header.place.segment]?.items += 1
      if let old = index[id], old.place == header.superseded {
        release(old)
        index.remove(id)
        damaged.remove(id)
      }
      noteDeletion(header)
    }
    if let kill = header.kill {
      segments[header.place.segment]?.kills.append(kill)
      segments[header.place.segment]?.killTargets[kill.place.segment, default: 0] += 1
      forgetGhost(kill)
      rememberDeletion(kill, in: header.place.segment)
    }
  }

  /// Takes a record into account of which nothing is known.
  mutating func lose(_ header: RecordHeader) {
    let id = header.record.chunk.id
    switch header.kind {
    case .chunk:
      ghosts[id, default: []].append(header.place)
    case .deletion:
      noteDeletion(header)
      guard var old = index[id], old.place == header.superseded else { return }
      old.isDoubtful = true
      index.set(id, old)
    }
  }

  /// What must be ended together with whatever is written for a chunk now.
  func ghostKills(of id: ChunkID) -> [RecordKill] {
    guard !ghosts.isEmpty, let places = ghosts[id] else { return [] }
    return places.filter { segments[$0.segment] != nil }.map { RecordKill(id: id, place: $0) }
  }

  /// Takes a record in that was found when the store opened.
  ///
  /// - Returns: the record of the same chunk that was found before.
  mutating func takeIn(_ id: ChunkID, _ entry: ChunkIndex.Entry) -> ChunkIndex.Entry? {
    if entry.isDamaged { damaged.insert(id) } else { damaged.remove(id) }
    return index.set(id, entry)
  }

  /// Notes that a record's bytes were found damaged.
  mutating func noteDamage(_ id: ChunkID, at place: RecordPlace) {
    guard var entry = index[id], entry.place == place else { return }
    entry.isDamaged = true
    index.set(id, entry)
    damaged.insert(id)
  }

  /// Every byte of a record was found right: what was wrong with it before is over.
  mutating func noteSound(_ id: ChunkID, at place: RecordPlace) {
    guard var entry = index[id], entry.place == place, entry.isDamaged else { return }
    entry.isDamaged = false
    index.set(id, entry)
    damaged.remove(id)
    segments[place.segment]?.stuckAt = nil
    attention.insert(place.segment)
  }

  private mutating func forgetGhost(_ kill: RecordKill) {
    guard !ghosts.isEmpty, var places = ghosts[kill.id] else { return }
    places.removeAll { $0 == kill.place }
    ghosts[kill.id] = places.isEmpty ? nil : places
  }

  /// A record no longer counts.
  private mutating func release(_ entry: ChunkIndex.Entry) {
    let number = entry.place.segment
    segments[number]?.liveBytes -= Segment.recordBytes(length: entry.length)
    attention.insert(number)
    let least = hasReserve ? Segment.minPunchedBytes : DiskBuffer.alignment
    let isSealed = segments[number]?.phase == .sealed
    if let range = Segment.deadRange(entry.place, length: entry.length, isSealed: isSealed),
      range.count >= least
    {
      segments[number]?.dead.append(range)
    }
  }

  // MARK: Deletions that are remembered

  /// Whether it is known that a chunk was deleted, and not stored anew since in what is lost.
  func isDeleted(_ id: ChunkID) -> Bool {
    deleted[id].map { $0.place.segment > lastLoss } ?? false
  }

  /// Whether a segment's records may be on disk, now or again.
  func mayReturn(_ number: UInt32) -> Bool {
    segments[number] != nil || gone.contains(number)
  }

  /// Remembers that a chunk was deleted, if the record says so and no record of it counts.
  mutating func rememberDeletion(_ kill: RecordKill, in number: UInt32) {
    guard kill.deletedAt > 0, segments[number] != nil, index[kill.id] == nil else { return }
    forgetDeletion(kill.id)
    deleted.set(
      kill.id, ChunkIndex.Entry(place: RecordPlace(segment: number, unit: 0), length: 0))
    let last = segments[number]?.deletions.last ?? 0
    segments[number]?.deletions.count += 1
    segments[number]?.deletions.last = max(last, kill.deletedAt)
    guard deleted.count > limits.maxDeletions else { return }
    let oldest = segments.values.filter { $0.deletions.count > 0 }.map(\.number).min()
    if let oldest { forgetDeletions(in: [oldest]) }
  }

  /// Forgets deletions that are old enough.
  mutating func expireDeletions(now: Int64) {
    guard unread.isEmpty else { return }
    let old = segments.values.filter {
      $0.deletions.count > 0 && $0.deletions.last < now - limits.deletionSeconds
    }
    if !old.isEmpty { forgetDeletions(in: Set(old.map(\.number))) }
  }

  /// Whether this record of a segment is why a deletion is remembered.
  func remembers(_ kill: RecordKill, in number: UInt32) -> Bool {
    kill.deletedAt > 0 && deleted[kill.id]?.place.segment == number
  }

  private mutating func forgetDeletion(_ id: ChunkID) {
    guard deleted.count > 0, let old = deleted[id] else { return }
    deleted.remove(id)
    segments[old.place.segment]?.deletions.count -= 1
    attention.insert(old.place.segment)
  }

  /// Forgets the deletions that are remembered because of these segments.
  mutating func forgetDeletions(in numbers: Set<UInt32>) {
    for part in 0..<deleted.partCount {
      var ids: [ChunkID] = []
      deleted.forEach(inPart: part) { id, entry in
        if numbers.contains(entry.place.segment) { ids.append(id) }
      }
      for id in ids { deleted.remove(id) }
    }
    for number in numbers { segments[number]?.deletions.count = 0 }
    attention.formUnion(numbers)
  }

  /// Checks what must hold after every event.
  func checkInvariants() {
    index.checkInvariants()
    var live: [UInt32: Int] = [:]
    for part in 0..<index.partCount {
      index.forEach(inPart: part) { _, entry in
        live[entry.place.segment, default: 0] += Segment.recordBytes(length: entry.length)
      }
    }
    for segment in segments.values {
      precondition(
        segment.liveBytes == live[segment.number] ?? 0,
        "segment \(segment.number) miscounts what is live")
      precondition(segment.extents >= 0 && segment.pins >= 0, "more ends than beginnings")
    }
    precondition(live.keys.allSatisfy { segments[$0] != nil }, "a chunk without a segment")
    deleted.checkInvariants()
    var remembered: [UInt32: Int] = [:]
    for part in 0..<deleted.partCount {
      deleted.forEach(inPart: part) { id, entry in
        remembered[entry.place.segment, default: 0] += 1
        precondition(index[id] == nil, "chunk \(id) is deleted and is not")
      }
    }
    precondition(
      segments.values.allSatisfy { $0.deletions.count == remembered[$0.number] ?? 0 }
        && remembered.keys.allSatisfy { segments[$0] != nil }, "deletions are miscounted")
    precondition(
      damaged.allSatisfy { index[$0]?.isDamaged == true }, "a damaged chunk that is not")
    if let active { precondition(segments[active]?.phase == .active, "the active one is not") }
  }
}
