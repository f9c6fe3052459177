import NIOCore
import StoreModel
import Synchronization

/// Segments' lives: made, sealed, read from, given back.
extension SegmentStore {
  /// What a caller who needs room has to do.
  private enum Step {
    case take(RecordPlace)
    /// Make room, for all.
    case make(StoreState.Room)
    /// Wait for somebody who does.
    case wait
  }

  /// Room in the active segment, or in a new one. To be ended by `endExtent`.
  ///
  /// - Parameters:
  ///   - bytes: how many.
  ///   - records: how many records stand in it at most.
  ///   - use: what for.
  ///   - id: the chunk, if its record gets its place here: to be ended by `endLarge` then.
  /// - Returns: where it begins.
  /// - Throws: `resourceExhausted` on a full disk, `internal`.
  func extent(
    bytes: Int, records: Int, use: StoreState.Use, large id: ChunkID? = nil
  ) async throws(StoreError) -> RecordPlace {
    while true {
      let step = shell.withLock { shell -> Step in
        let room = shell.state.allocate(bytes: bytes, records: records, use: use)
        if case .extent(let place) = room {
          if let id { shell.state.beginLarge(id) }
          return .take(place)
        }
        guard shell.rolling == nil else { return .wait }
        shell.rolling = []
        return .make(room)
      }
      switch step {
      case .take(let place): return place
      case .make(let room):
        try await makeRoom(room, bytes: bytes, records: records, use: use)
      case .wait:
        await withCheckedContinuation { continuation in
          let isOver = shell.withLock { shell in
            shell.rolling?.append(continuation)
            return shell.rolling == nil
          }
          if isOver { continuation.resume() }
        }
      }
    }
  }

  /// Makes room for all who wait for some: in the active segment, or in a new one.
  private func makeRoom(
    _ room: StoreState.Room, bytes: Int, records: Int, use: StoreState.Use
  ) async throws(StoreError) {
    defer {
      let waiting = shell.withLock { shell in
        defer { shell.rolling = nil }
        return shell.rolling ?? []
      }
      for continuation in waiting { continuation.resume() }
      upkeepBell.continuation.yield()
    }
    let isTight: Bool
    do throws(StoreError) {
      isTight = try await self.isTight(for: use, bytes: bytes)
    } catch {
      throw noteFailure(error)
    }
    if case .grow(let number, let size) = room, !isTight,
      try await grow(number, to: size, bytes: bytes, records: records)
    {
      return
    }
    if isTight, use == .put {
      throw StoreError(.resourceExhausted, "the disk is full: what is left is kept for deleting")
    }
    let (number, least, limits) = shell.withLock { shell in
      shell.state.nextNumber += 1
      let least = StoreState.leastBytes(forExtent: bytes, records: records)
      return (shell.state.nextNumber - 1, least, shell.state.limits)
    }
    guard number < StorePaths.maxSegment else {
      throw StoreError(.internal, "the disk has had as many segments as there are numbers")
    }
    do throws(StoreError) {
      if isTight {
        throw StoreError(
          .resourceExhausted, "the disk is full: what is left is kept for compaction")
      }
      try await makeSegment(
        number, capacity: max(limits.segmentBytes, least),
        reserved: max(limits.firstReserveBytes, least), isReserve: false)
    } catch {
      guard error.code == .resourceExhausted else { throw noteFailure(error) }
      guard use != .put else { throw error }
      if shell.withLock(\.state.hasReserve) {
        // One that doesn't fit would only use the reserve up.
        guard least <= limits.reserveBytes else { throw error }
        return try await takeReserve(number)
      }
      // The reserve is used up; what compaction gave back since is for compaction.
      guard use == .upkeep else { throw error }
      try await makeSegment(
        number, capacity: max(limits.reserveBytes, least), reserved: least, isReserve: true)
    }
  }

  /// Notes that the disk failed, but for a lack of descriptors or memory, which says nothing about it.
  ///
  /// - Returns: what to tell: what is wrong with a segment's file says nothing about a chunk.
  private func noteFailure(_ error: StoreError) -> StoreError {
    guard error.code != .unavailable else { return error }
    shell.withLock { shell in
      shell.failures.note(at: clock.nanoseconds)
      shell.report(StorePaths.segments, "a new segment can't be made: \(error.message)")
    }
    return StoreError(.internal, error.message)
  }

  /// Whether there is no room for this use, though there may be some: small chunks give theirs back only when
  /// others have been moved away from between them, and a deletion takes some at first. So new chunks leave what
  /// deletions may need, and these what compaction does.
  private func isTight(for use: StoreState.Use, bytes: Int) async throws(StoreError) -> Bool {
    if use == .upkeep { return false }
    let space = try await disk.space()
    let reserve = UInt64(shell.withLock { $0.state.limits.reserveBytes })
    let kept = use == .put ? space.capacityBytes / StoreState.headroomShare : 0
    return space.freeBytes < kept + reserve + UInt64(bytes)
  }

  /// Sets more room aside in the active segment: as much as would be good, or what is needed.
  ///
  /// - Returns: whether the caller may try again; no: the disk has no more room for this segment.
  private func grow(
    _ number: UInt32, to size: Int, bytes: Int, records: Int
  ) async throws(StoreError) -> Bool {
    // Like an extent, so that it isn't sealed, and cut, meanwhile.
    let found = shell.withLock { shell -> (writer: any DiskFile, reserved: Int, least: Int)? in
      guard shell.state.active == number, let segment = shell.state.segments[number],
        let writer = segment.writer
      else { return nil }
      shell.state.segments[number]?.extents += 1
      return (writer, segment.reserved, segment.neededBytes(forExtent: bytes, records: records))
    }
    guard let (writer, reserved, least) = found else { return true }
    defer { shell.withLock { $0.state.endExtent(RecordPlace(segment: number, unit: 0)) } }
    for size in [size, least] {
      do throws(StoreError) {
        // Not what was set aside before, of which some may have been given back.
        try await writer.reserve(reserved..<max(size, reserved))
        shell.withLock { $0.state.grow(number, to: size) }
        return true
      } catch {
        guard error.code == .resourceExhausted else {
          fail(number, error)
          throw error
        }
      }
    }
    shell.withLock { $0.state.retire() }
    return false
  }

  /// Makes a segment of at most `capacity` bytes, `reserved` of them set aside at once, durably, and has
  /// new records go to it.
  private func makeSegment(
    _ number: UInt32, capacity: Int, reserved: Int, isReserve: Bool
  ) async throws(StoreError) {
    let path = StorePaths.segment(number)
    let writer = try await disk.create(path, reserving: reserved, direct: true)
    do throws(StoreError) {
      try await begin(
        number, writer: writer, capacity: capacity, reserved: reserved, isReserve: isReserve)
    } catch {
      await writer.close()
      // What can't be removed holds no records, and is seen when the store opens next.
      try? await disk.removeIfThere(path)
      throw error
    }
  }

  /// Makes the reserve a segment, for deletions and compaction alone.
  private func takeReserve(_ number: UInt32) async throws(StoreError) {
    let path = StorePaths.segment(number)
    do throws(StoreError) {
      try await disk.rename(StorePaths.reserve, to: path)
      try await disk.sync(directory: "")
      let writer = try await disk.openForWriting(path)
      // The list of segments takes room, too.
      let size = try await writer.size().bytes
      let bytes = size - SegmentStore.reserveSlack
      try await writer.truncate(to: bytes)
      try await begin(number, writer: writer, capacity: bytes, reserved: bytes, isReserve: true)
      shell.withLock { $0.state.hasReserve = false }
    } catch {
      await blank(path)
      // So that the room isn't another's before it is the reserve again.
      try? await disk.rename(path, to: StorePaths.reserve)
      let size = shell.withLock { $0.state.limits.reserveBytes } + SegmentStore.reserveSlack
      if (try? await SegmentStore.makeReserve(on: disk, bytes: size)) == nil {
        shell.withLock { $0.state.hasReserve = false }
      }
      throw error
    }
  }

  /// Wipes the header off a file that becomes the reserve again: it may be another segment next.
  private func blank(_ path: String) async {
    let head = DiskBuffer(capacity: SegmentHeader.bytes)
    head.zero(0..<SegmentHeader.bytes)
    guard let file = try? await disk.openForWriting(path) else { return }
    try? await file.writeAndSync([DiskWrite(head, 0..<SegmentHeader.bytes, at: 0)])
    await file.close()
  }

  /// Bytes that the reserve has beyond what its segment will have: room for the list of segments.
  static let reserveSlack = 64 << 10

  /// Writes a segment's header, makes it and its name durable, and has new records go to it.
  private func begin(
    _ number: UInt32, writer: any DiskFile, capacity: Int, reserved: Int, isReserve: Bool
  ) async throws(StoreError) {
    let head = DiskBuffer(capacity: SegmentHeader.bytes)
    let key = ChunkIndex.mix(keySeed &+ UInt64(number))
    SegmentHeader(number: number, disk: diskNumber, key: key).encode(into: head.bytes)
    try await writer.writeAndSync([DiskWrite(head, 0..<SegmentHeader.bytes, at: 0)])
    // Else the list might outlive a power cut that the file's name does not.
    try await disk.sync(directory: StorePaths.segments)
    do throws(StoreError) {
      try await changeList { $0.begin(number) }
    } catch {
      // It may be listed all the same, and the file goes now.
      try? await changeList { $0.remove(number) }
      throw error
    }
    shell.withLock { shell in
      var segment = Segment(
        number: number, phase: .active, capacity: capacity, reserved: reserved,
        end: SegmentHeader.bytes, diskBytes: reserved)
      segment.key = key
      segment.begunAt = clock.wallSeconds
      segment.writer = writer
      segment.isReserve = isReserve
      shell.state.activate(segment)
    }
  }

  /// Changes the list of segments; it, and all names in the segments' directory, are durable then.
  private func changeList(_ change: (inout SegmentList) -> Void) async throws(StoreError) {
    await turns.take(.list)
    defer { turns.end(.list) }
    var listed = shell.withLock(\.listed)
    change(&listed)
    listed.next = shell.withLock(\.state.nextNumber)
    try await listed.write(on: disk)
    shell.withLock { [listed] in $0.listed = listed }
  }

  /// Turns away from a segment that can't be written to.
  func fail(_ number: UInt32, _ error: StoreError) {
    shell.withLock { shell in
      // All that a failed segment does to those who write to it is one failure of the disk.
      if shell.state.segments[number]?.phase != .failed, error.code != .resourceExhausted {
        shell.failures.note(at: clock.nanoseconds)
      }
      shell.state.fail(number)
      shell.report(
        StorePaths.segment(number),
        "nothing more is written to it: \(error.message); its chunks are moved to other segments")
    }
    upkeepBell.continuation.yield()
  }

  // MARK: Sealing

  /// Ends a full segment with its checkpoint, or turns away from it.
  func trySealing(_ number: UInt32) async {
    do throws(StoreError) {
      try await seal(number)
    } catch {
      fail(number, error)
    }
  }

  private func seal(_ number: UInt32) async throws(StoreError) {
    guard let segment = shell.withLock({ $0.state.segments[number] }) else { return }
    var entries: [SegmentEntry] = []
    // In slices, so that nobody waits long; what dies meanwhile is ended by a later record.
    for start in stride(from: 0, to: segment.entries.count, by: SegmentStore.sealSlice) {
      let slice = segment.entries[
        start..<min(start + SegmentStore.sealSlice, segment.entries.count)]
      entries += shell.withLock { shell in
        slice.filter { entry in
          shell.state.index[entry.id]?.place == RecordPlace(segment: number, unit: entry.unit)
        }
      }
    }
    let kills = shell.withLock { $0.state.checkpointKills(of: segment.kills, in: number) }
    let bytes = try await SegmentStore.writeCheckpoint(
      SegmentCheckpoint(
        entries: entries, kills: kills, writtenBytes: segment.writtenBytes,
        durableBatch: segment.durableBatch),
      number: number, disk: diskNumber, recordsEnd: segment.end, writer: segment.writer)
    shell.withLock { $0.state.sealed(number, diskBytes: bytes) }
    // Where it can't be written now, the next one says so, too.
    try? await changeList { $0.open.remove(number) }
    shell.withLock { _ = $0.listed.open.remove(number) }
  }

  private static let sealSlice = 8_192

  /// Writes a checkpoint behind a segment's records, and cuts the file there; durable when it returns.
  ///
  /// - Returns: bytes of the disk that the file takes then.
  static func writeCheckpoint(
    _ checkpoint: SegmentCheckpoint, number: UInt32, disk: UInt64, recordsEnd: Int,
    writer: (any DiskFile)?
  ) async throws(StoreError) -> Int {
    guard let writer else { throw StoreError(.internal, "segment \(number) can't be written to") }
    let offset = DiskBuffer.roundUp(recordsEnd)
    let text = checkpoint.encode(number: number, disk: disk, offset: offset)
    let buffer = DiskBuffer(capacity: text.readableBytes)
    text.withUnsafeReadableBytes { buffer.bytes.copyMemory(from: $0) }
    let end = offset + text.readableBytes
    try await writer.truncate(to: end)
    try await writer.writeAndSync([DiskWrite(buffer, 0..<text.readableBytes, at: offset)])
    let size = try? await writer.size()
    await writer.close()
    return size?.diskBytes ?? end
  }

  // MARK: Reading

  /// Opens a segment for reading; it is kept open for the next one.
  func reader(of number: UInt32) async throws(StoreError) -> any DiskFile {
    if let reader = shell.withLock({ $0.state.segments[number]?.reader }) { return reader }
    let reader = try await disk.open(StorePaths.segment(number))
    shell.withLock { shell in
      guard shell.state.segments[number] != nil, shell.state.segments[number]?.reader == nil else {
        return
      }
      shell.state.segments[number]?.reader = reader
      shell.openReaders.append(number)
      guard shell.openReaders.count > SegmentStore.maxOpenReaders else { return }
      // Those who read from it still hold it open.
      let oldest = shell.openReaders.removeFirst()
      shell.state.segments[oldest]?.reader = nil
    }
    return reader
  }

  /// Ends a reading from a segment.
  func unpin(_ number: UInt32) {
    if shell.withLock({ $0.state.unpin(number) }) { upkeepBell.continuation.yield() }
  }

  // MARK: Giving room back

  /// Gives the room of a segment's dead records back, unless somebody reads from it.
  func punch(_ number: UInt32) async {
    let (dead, mayBeUnsynced) = shell.withLock { shell -> ([Range<Int>], Bool) in
      guard let segment = shell.state.segments[number], segment.mayBePunched,
        !shell.state.isNeeded(number)
      else { return ([], false) }
      shell.state.segments[number]?.dead = []
      return (segment.dead, segment.mayBeUnsynced)
    }
    guard !dead.isEmpty else { return }
    do throws(StoreError) {
      let file = try await disk.openForWriting(StorePaths.segment(number))
      if mayBeUnsynced {
        do throws(StoreError) {
          try await file.writeAndSync([])
        } catch {
          // No later sync would write it: this one is compacted instead.
          shell.withLock { $0.state.segments[number]?.isSyncable = false }
          throw error
        }
        shell.withLock { $0.state.segments[number]?.mayBeUnsynced = false }
      }
      for range in dead { try await file.punch(range) }
      let left = try await file.size().diskBytes
      shell.withLock { $0.state.segments[number]?.diskBytes = left }
      await file.close()
    } catch {
      // Compaction will give it, or has.
      guard shell.withLock({ $0.state.segments[number] != nil }) else { return }
      report(StorePaths.segment(number), "room in it could not be given back: \(error.message)")
    }
  }

  /// Removes a segment in which nothing counts any more.
  func removeSegment(_ number: UInt32) async throws(StoreError) {
    let isLeaving = shell.withLock { shell in
      guard let segment = shell.state.segments[number], segment.pins == 0,
        segment.liveBytes == 0, segment.extents == 0,
        !shell.state.unread.contains(number), !shell.state.isNeeded(number)
      else { return false }
      shell.state.segments[number]?.isLeaving = true
      return true
    }
    guard isLeaving else { return }
    do throws(StoreError) {
      try await remove(number)
    } catch {
      shell.withLock { $0.state.segments[number]?.isLeaving = false }
      throw error
    }
    let reader = shell.withLock { shell in
      let reader = shell.state.segments[number]?.reader
      shell.state.forget(number)
      shell.verifiedAt[number] = nil
      shell.spoiled.remove(number)
      shell.openReaders.removeAll { $0 == number }
      return reader
    }
    // Its last close is what frees its room, which takes long: nobody waits for that.
    await reader?.close()
  }

  /// Takes a segment off the list and removes its file, durably; where that was removed before, only the latter is left
  /// to do.
  private func remove(_ number: UInt32) async throws(StoreError) {
    if shell.withLock({ $0.state.segments[number]?.isRemoved ?? false }) {
      return try await disk.sync(directory: StorePaths.segments)
    }
    if shell.withLock({ $0.state.segments[number]?.isCut ?? false }) {
      // Where there is no room for the mark, the room that the segment has is worth more.
      try? await disk.mark(number)
      shell.withLock { _ = $0.state.gone.insert(number) }
    }
    do throws(StoreError) {
      try await changeList { $0.remove(number) }
    } catch {
      guard error.code == .resourceExhausted else { throw error }
      // A list takes room at first, and this segment has some that nobody needs.
      try await disk.empty(number, of: diskNumber)
      shell.withLock { $0.state.emptied(number) }
      try await changeList { $0.remove(number) }
    }
    try await disk.remove(StorePaths.segment(number))
    shell.withLock { $0.state.segments[number]?.isRemoved = true }
    try await disk.sync(directory: StorePaths.segments)
  }

  /// Sets room for a small segment aside, if there is enough.
  func keepReserve() async {
    let (isNeeded, bytes) = shell.withLock {
      (!$0.state.hasReserve && !$0.isClosed, $0.state.limits.reserveBytes)
    }
    guard isNeeded else { return }
    do throws(StoreError) {
      try await SegmentStore.makeReserve(on: disk, bytes: bytes + SegmentStore.reserveSlack)
      shell.withLock { $0.state.hasReserve = true }
    } catch {
      // A full disk has none; it is made when there is room again.
      if error.code != .resourceExhausted {
        report(StorePaths.reserve, "cannot be made: \(error.message)")
      }
    }
  }

  /// Makes the reserve, or makes one that is there as large as it should be.
  static func makeReserve(on disk: any Disk, bytes: Int) async throws(StoreError) {
    do throws(StoreError) {
      let file = try await disk.openForWriting(StorePaths.reserve)
      let size = try await file.size().bytes
      try await file.truncate(to: min(bytes, size))
      do throws(StoreError) {
        try await file.reserve(0..<bytes)
      } catch {
        // Most of it will do.
        guard error.code == .resourceExhausted, size >= bytes / 2 else { throw error }
      }
      await file.close()
    } catch {
      guard error.code == .notFound else { throw error }
      let file = try await disk.create(StorePaths.reserve, reserving: bytes, direct: false)
      await file.close()
    }
    try await disk.sync(directory: "")
  }
}
