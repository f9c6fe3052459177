import StoreModel

/// What there is to do for a store's segments.
///
/// There may be many thousands of them, and something is asked after every change: so only those are
/// looked at to which something happened since there was nothing to do for them (`attention`).
extension StoreState {
  /// Something that is to be done.
  enum Chore: Sendable, Hashable {
    /// Write records in doubt anew.
    case settle(UInt32)
    /// End a full segment with its checkpoint.
    case seal(UInt32)
    /// Give the room of dead records back.
    case punch(UInt32)
    /// Empty and remove a segment.
    case compact(UInt32)
  }

  /// What is to be done next.
  ///
  /// - Parameters:
  ///   - isUrgent: whether a deletion was refused for lack of room: then any gain will do.
  ///   - isShort: whether new chunks will soon be refused for lack of room.
  ///   - free: bytes that the disk has left, where that matters.
  /// - Returns: the most urgent chore; nil where there is none.
  mutating func nextChore(
    isUrgent: Bool = false, isShort: Bool = false, free: Int = .max
  ) -> Chore? {
    // What should rather not be moved, is now.
    let isPressed = isUrgent || isShort || !hasReserve
    if isShort, mayLackDeletions || lastLoss > 0 { attention.formUnion(segments.keys) }
    if isUrgent {
      attention.formUnion(segments.keys)
      // What is set aside in the active segment is needed, and deletions that came one by one take a block
      // each, where together they take next to nothing.
      retire()
    }
    var idle: [UInt32] = []
    var best: (chore: Chore, rank: Int, gain: Int)?
    var small: [Segment] = []
    for number in attention.sorted() {
      guard let segment = segments[number] else {
        idle.append(number)
        continue
      }
      let isSmall =
        isCandidate(segment, isPressed)
        && segment.diskBytes < min(limits.segmentBytes, limits.reserveBytes) / 8
      if isSmall { small.append(segment) }
      guard let found = chore(for: segment, isUrgent: isUrgent, isPressed, free: free) else {
        if !isSmall { idle.append(number) }
        continue
      }
      guard let known = best, (known.rank, -known.gain) <= (found.rank, -found.gain) else {
        best = found
        continue
      }
    }
    attention.subtract(idle)
    if best == nil, small.count > StoreState.maxSmallSegments {
      let least = small.min { ($0.diskBytes, $0.number) < ($1.diskBytes, $1.number) }
      return least.map { .compact($0.number) }
    }
    return best?.chore
  }

  /// Whether what is to be done next depends on how much room the disk has left.
  var needsRoom: Bool {
    !hasReserve || mayLackDeletions || lastLoss > 0
      || attention.contains { segments[$0]?.phase == .failed }
  }

  /// Whether new chunks will soon be refused for lack of room.
  func isShort(_ space: DiskSpace) -> Bool {
    let kept = space.capacityBytes / StoreState.headroomShare + UInt64(limits.reserveBytes)
    return space.freeBytes < kept + 2 * UInt64(limits.segmentBytes)
  }

  /// A full segment that nobody writes to any more.
  var segmentToSeal: UInt32? {
    attention.filter { segments[$0].map { isToSeal($0) } ?? false }.min()
  }

  /// What is to be done for a segment, the lower its rank, the sooner.
  private func chore(
    for segment: Segment, isUrgent: Bool, _ isPressed: Bool, free: Int
  ) -> (chore: Chore, rank: Int, gain: Int)? {
    if isInDoubt(segment) { return (.settle(segment.number), 0, 0) }
    if isToSeal(segment) { return (.seal(segment.number), 1, 0) }
    if segment.mayBePunched, !segment.dead.isEmpty, !isNeeded(segment.number) {
      return (.punch(segment.number), 2, 0)
    }
    guard isCandidate(segment, isPressed) else { return nil }
    if segment.phase == .failed {
      // Its room comes back when it is empty, not before: on a full disk it may use up what others need. So
      // the reserve is for what fits into it as a whole.
      let packed = packedBytes(of: segment)
      let fits = packed <= free || (hasReserve && !isUrgent && packed <= limits.reserveBytes)
      if !fits, hasReserve, !isUrgent { return nil }
      return (.compact(segment.number), fits ? 3 : 5, 0)
    }
    let gain = gain(of: segment, isUrgent: isUrgent, free: free)
    return gain > 0 ? (.compact(segment.number), 4, gain) : nil
  }

  private func isToSeal(_ segment: Segment) -> Bool {
    segment.phase == .full && segment.extents == 0 && segment.doubt == nil
  }

  /// Whether it has records in doubt, which must be written anew before it is sealed.
  private func isInDoubt(_ segment: Segment) -> Bool {
    segment.doubt != nil && segment.stuckAt != segment.liveBytes
  }

  /// Whether records that count less than others in doubt may yet be needed of a segment.
  func isNeeded(_ number: UInt32) -> Bool {
    inDoubt.contains { other in
      other == number || segments[other]?.doubt?.needed.contains(number) ?? false
    }
  }

  /// Looks at all segments anew, also at those with which something failed.
  mutating func tryAll() {
    for number in segments.keys { segments[number]?.stuckAt = nil }
    attention.formUnion(segments.keys)
  }

  /// A segment with records in doubt.
  var segmentInDoubt: UInt32? {
    attention.filter { segments[$0].map { isInDoubt($0) } ?? false }.min()
  }

  /// Whether a segment can be emptied, and should be where that can wait.
  private func isCandidate(_ segment: Segment, _ isPressed: Bool) -> Bool {
    (segment.phase == .sealed || segment.phase == .failed) && segment.extents == 0
      && !segment.isLeaving && !unread.contains(segment.number)
      && segment.stuckAt != segment.liveBytes && !isNeeded(segment.number)
      && (segment.pins == 0 || keptBytes(of: segment) > 0)
      && (isPressed || segment.phase == .failed || isBestMoved(segment))
  }

  /// Whether deletions may be told of where nothing can be read.
  private var mayLackDeletions: Bool {
    !unread.isEmpty || lacksOtherDisks
  }

  /// Whether it does no harm to move what a segment has. Deletions that can't be read name the places where their chunks
  /// stand now; and one that is older than a loss would be younger in another segment. (A failed segment is emptied all
  /// the same, as a failing disk is drained: what may be lost weighs more than what may come back.)
  private func isBestMoved(_ segment: Segment) -> Bool {
    (segment.liveBytes == 0 || !mayLackDeletions)
      && (segment.deletions.count == 0 || segment.number > lastLoss)
  }

  /// What compacting a segment is worth, to be compared; 0 when it isn't: a quarter of its records must be
  /// dead, or it must take twice the room that they need.
  private func gain(of segment: Segment, isUrgent: Bool, free: Int) -> Int {
    let kept = keptBytes(of: segment)
    guard kept > 0 else { return Int.max / 2 }
    if isUrgent || !hasReserve {
      return gainOnFullDisk(of: segment, kept: kept, isUrgent, free: free)
    }
    // Room that was given back already is none to be had.
    let dead = min(segment.writtenBytes, segment.diskBytes) - kept
    if dead >= segment.writtenBytes / 4, dead >= minGain { return dead }
    let sparse = segment.diskBytes - segment.packedBytes
    return segment.diskBytes / 2 >= segment.packedBytes && sparse >= minGain ? sparse : 0
  }

  /// About how many bytes what is kept of a segment takes elsewhere: with what stands between runs of moved
  /// records, or the same would be done for ever.
  private func packedBytes(of segment: Segment) -> Int {
    let kept = keptBytes(of: segment)
    return 2 * SegmentHeader.bytes + kept + kept / 8
      + SegmentCheckpoint.bytes(entries: 0, kills: segment.items)
  }

  /// On a full disk less will do, and any room when somebody waits for it; what needs the least copying for
  /// what it gives comes first.
  private func gainOnFullDisk(of segment: Segment, kept: Int, _ isUrgent: Bool, free: Int) -> Int {
    let packed = packedBytes(of: segment)
    let dead = min(segment.writtenBytes, segment.diskBytes) - kept
    let room = max(dead, segment.diskBytes - packed)
    guard room >= StoreState.leastGain, isUrgent || room >= segment.diskBytes / 16 else { return 0 }
    // One that can't be moved as a whole may use up the room that others need.
    return packed > free ? 1 : room * 1_024 / (kept + StoreState.leastGain) + 2
  }

  /// Bytes of a segment that have to be written anew to be rid of it: its chunks, and what it says of
  /// records that are still on disk, or of chunks whose deletion is remembered.
  func keptBytes(of segment: Segment) -> Int {
    let kills = segment.killTargets.reduce(0) { sum, target in
      target.key == segment.number || !mayReturn(target.key) ? sum : sum + target.value
    }
    return segment.liveBytes + max(kills, segment.deletions.count) * RecordHeader.deletionBytes
  }

  /// Whether a segment's kills may have to be written anew before it goes: not once they were.
  func mayNeedKills(of number: UInt32) -> Bool {
    guard let segment = segments[number] else { return false }
    return !segment.killTargets.isEmpty || segment.deletions.count > 0
  }

  /// What of a segment's kills has to be written anew before the segment goes.
  func neededKills(of kills: [RecordKill], in number: UInt32) -> [RecordKill] {
    kills.compactMap { kill in
      if remembers(kill, in: number), isDeleted(kill.id) { return kill }
      return kill.place.segment != number && mayReturn(kill.place.segment)
        ? kill.withoutDeletion : nil
    }
  }

  /// What of a segment's kills its checkpoint has to say.
  func checkpointKills(of kills: [RecordKill], in number: UInt32) -> [RecordKill] {
    kills.filter { mayReturn($0.place.segment) || remembers($0, in: number) }
  }

  /// Small segments, which restarts leave behind, that are put up with.
  private static let maxSmallSegments = 16
  /// One byte in so many of a disk is kept for deletions and compaction, beside the reserve.
  static let headroomShare: UInt64 = 128
  /// The least room that is worth a compaction on a full disk.
  private static let leastGain = 4 * DiskBuffer.alignment
  /// The least room that is worth a compaction.
  private var minGain: Int {
    limits.segmentBytes / 16
  }

  /// A segment ends with its checkpoint now, and takes so many bytes.
  mutating func sealed(_ number: UInt32, diskBytes: Int) {
    segments[number]?.phase = .sealed
    segments[number]?.entries = []
    segments[number]?.kills = []
    segments[number]?.writer = nil
    segments[number]?.diskBytes = diskBytes
    attention.insert(number)
  }

  /// Nothing stands in a segment any more, not even its checkpoint.
  mutating func emptied(_ number: UInt32) {
    segments[number]?.phase = .failed
    segments[number]?.entries = []
    segments[number]?.kills = []
    segments[number]?.killTargets = [:]
    segments[number]?.dead = []
  }

  /// Somebody reads from a segment no longer.
  ///
  /// - Returns: whether there may be something to do for it now.
  mutating func unpin(_ number: UInt32) -> Bool {
    segments[number]?.pins -= 1
    guard let segment = segments[number], segment.pins == 0 else { return false }
    guard !segment.dead.isEmpty || segment.liveBytes == 0 else { return false }
    attention.insert(number)
    return true
  }

  /// Emptying a segment, or settling what is in doubt in it, failed: it is tried again when its chunks have
  /// changed, when another segment is gone, and after a while.
  ///
  /// - Returns: whether it is the first time.
  mutating func giveUp(_ number: UInt32) -> Bool {
    guard let segment = segments[number] else { return false }
    segments[number]?.stuckAt = segment.liveBytes
    segments[number]?.hasFailed = true
    return !segment.hasFailed
  }

  /// A segment's file is gone. With its room others may be compacted that could not be.
  mutating func forget(_ number: UInt32) {
    if let segment = segments[number], segment.deletions.count > 0 { forgetDeletions(in: [number]) }
    segments[number] = nil
    inDoubt.remove(number)
    unread.remove(number)
    for (id, places) in ghosts where places.contains(where: { $0.segment == number }) {
      let left = places.filter { $0.segment != number }
      ghosts[id] = left.isEmpty ? nil : left
    }
    tryAll()
  }
}
