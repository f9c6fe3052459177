import StoreModel

/// What recovery does with the list of segments, and with those in which nothing was found.
extension SegmentRecovery {
  /// A segment is gone.
  mutating func noteGone(_ number: UInt32) async {
    report(StorePaths.segment(number), "is gone: the chunks in it are lost here")
    state.gone.insert(number)
    // What can't be marked is told of by the list, as before.
    guard (try? await disk.mark(number)) == nil else { return }
    listed.begin(number)
    if known?.isSealed(number) == true { listed.open.remove(number) }
  }

  /// Records of a segment are lost, which a new checkpoint would hide.
  ///
  /// - Returns: whether that is marked. One that was sealed before gets no checkpoint, and is marked when it goes, as is
  ///   one where that can't be done now.
  mutating func noteLoss(_ number: UInt32, isSealed: Bool) async -> Bool {
    state.lastLoss = max(state.lastLoss, number)
    if !isSealed, (try? await markDurably(number)) != nil { return true }
    state.segments[number]?.isCut = true
    return false
  }

  private func markDurably(_ number: UInt32) async throws(StoreError) {
    try await disk.mark(number)
    try await disk.sync(directory: StorePaths.segments)
  }

  /// A segment can't be read. What others say of its records still means something: it may be readable another day.
  mutating func noteUnread(_ number: UInt32) {
    state.segments[number] = Segment(
      number: number, phase: .failed, capacity: 0, reserved: 0, end: 0, diskBytes: 0)
    state.unread.insert(number)
  }

  /// Removes segments that nothing was written to before the power went, and writes down which are left.
  mutating func dropEmpty(_ numbers: [UInt32]) async throws(StoreError) {
    var empty = emptied.sorted()
    for number in empty {
      listed.remove(number)
      state.segments[number] = nil
    }
    for number in numbers {
      guard case .scanned(let scan)? = contents[number], scan.isEmpty else { continue }
      defer { state.segments[number] = nil }
      // None is listed before its header is durable, and room set aside for more, and none is sealed that holds nothing.
      let isLess =
        headless.contains(number) || state.segments[number]?.end ?? 0 <= SegmentHeader.bytes
      if scan.isSealed || (isLess && known?.numbers.contains(number) ?? true) {
        await setAside(number)
      } else {
        empty.append(number)
        listed.remove(number)
      }
    }
    // What a process that was killed left in the directory must outlive a power cut as well: the list's
    // writing sees to that, and so must we where it isn't written.
    guard !empty.isEmpty || listed.numbers != known?.numbers || listed.open != known?.open else {
      try await disk.sync(directory: StorePaths.segments)
      return
    }
    do throws(StoreError) {
      try await writeList(empty)
    } catch {
      // A full disk: what stands there now is right but for segments that nothing was written to.
      guard error.code == .resourceExhausted, known != nil || !numbers.isEmpty else { throw error }
      report(SegmentList.path, "cannot be written: \(error.message)")
      try await disk.sync(directory: StorePaths.segments)
      return
    }
    for number in empty {
      do throws(StoreError) {
        try await disk.remove(StorePaths.segment(number))
      } catch {
        report(StorePaths.segment(number), "cannot be removed: \(error.message)")
      }
    }
  }

  /// Gives what is left of a segment that was there another name.
  private mutating func setAside(_ number: UInt32) async {
    let path = StorePaths.segment(number)
    let lost = path + StorePaths.lostSuffix
    do throws(StoreError) {
      try await disk.rename(path, to: lost)
      listed.remove(number)
      state.gone.insert(number)
      report(lost, SegmentRecovery.lostSegment)
    } catch {
      report(path, "nothing was found in it, and it can't be renamed: \(error.message)")
    }
  }

  /// Writes down which segments are left; on a full disk with the room of those that nothing was written to.
  private func writeList(_ empty: [UInt32]) async throws(StoreError) {
    var list = listed
    list.next = state.nextNumber
    do throws(StoreError) {
      try await list.write(on: disk)
    } catch {
      guard error.code == .resourceExhausted, !empty.isEmpty else { throw error }
      for number in empty { try await disk.empty(number, of: directory.disk) }
      try await list.write(on: disk)
    }
  }

  /// Notes that a segment ends with its checkpoint, where the list doesn't say so yet: once that is surely on the
  /// disk, for a process that was killed may have left it in the system's memory.
  mutating func noteSealed(_ number: UInt32, _ file: any DiskFile) async {
    guard listed.open.contains(number) else { return }
    synced[number] = (try? await file.writeAndSync([])) != nil
    if synced[number] == true { listed.open.remove(number) }
  }

  /// Tells of segments that must have been here, where neither they nor their list are: the reserve is made after
  /// the list.
  mutating func checkIsNew() async throws(StoreError) {
    guard try await disk.hasReserve else { return }
    report(SegmentList.path, "is gone, and there is no segment: the chunks that were here are lost")
    try? await disk.mark(SegmentList.path)
  }
}

extension SegmentHeader {
  /// Why a segment is not the one that its name says; nil where it is.
  func stranger(as number: UInt32, of directory: DataDirectory) -> String? {
    if disk != directory.disk { return "belongs to another disk" }
    return self.number == number ? nil : "is segment \(self.number) under another name"
  }
}

extension Disk {
  /// Whether a store was opened here before, with room for its reserve.
  var hasReserve: Bool {
    get async throws(StoreError) {
      try await list("").contains(StorePaths.reserve)
    }
  }

  /// Cuts a segment in which nothing counts any more. Its header says so first, which takes no room: or it would pass
  /// for one that has lost its end.
  func empty(_ number: UInt32, of disk: UInt64) async throws(StoreError) {
    let head = DiskBuffer(capacity: SegmentHeader.bytes)
    SegmentHeader(number: number, disk: disk, key: SegmentHeader.emptiedKey).encode(
      into: head.bytes)
    let file = try await openForWriting(StorePaths.segment(number))
    try await file.writeAndSync([DiskWrite(head, 0..<SegmentHeader.bytes, at: 0)])
    try await file.truncate(to: SegmentHeader.bytes)
    await file.close()
  }

  /// Has a loss be told of each time until somebody removes the mark; durable once the directory's names are.
  func mark(_ path: String) async throws(StoreError) {
    do throws(StoreError) {
      await (try create(path + StorePaths.lostSuffix, reserving: 0, direct: false)).close()
    } catch {
      guard error.code == .alreadyExists else { throw error }
    }
  }

  /// The same for a segment.
  func mark(_ number: UInt32) async throws(StoreError) {
    try await mark(StorePaths.segment(number))
  }
}
