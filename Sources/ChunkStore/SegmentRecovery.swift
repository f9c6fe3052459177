import NIOCore
import StoreModel

/// Finds out what a data directory's segments hold when the store opens.
///
/// Of a sealed segment the checkpoint is read. One without a checkpoint, or with a damaged one, is read
/// whole and every record verified: those that were never acknowledged are skipped, those that are
/// damaged reported, and the segment is sealed with what was found. Nothing that is wrong in a segment
/// stops it, and none that existed before is written to again.
struct SegmentRecovery: Sendable {
  /// What reading a segment whole gave.
  struct Scan: Sendable {
    var entries: [SegmentEntry] = []
    var damaged: Set<UInt32> = []
    /// Records of which no later one says that they were durable before the store was opened: what was
    /// read may stand in the system's memory alone, where a sync failed before.
    var doubtful: Set<UInt32> = []
    var kills: [RecordKill] = []
    var recordsEnd = SegmentHeader.bytes
    /// About how many bytes the records took.
    var writtenBytes = 0
    var problems: [String] = []
    /// A part of it could not be read.
    var isUnreadable = false
  }

  /// What is known of a segment before its entries are taken in.
  private enum Content: Sendable {
    case sealed(SegmentCheckpoint.Footer)
    case scanned(Scan)

    /// How many chunks it has.
    var entryCount: Int {
      switch self {
      case .sealed(let footer): Int(footer.entryCount)
      case .scanned(let scan): scan.entries.count
      }
    }
  }

  let disk: any Disk
  let directory: DataDirectory
  private(set) var state: StoreState
  private(set) var problems: [ChunkStoreProblem] = []
  /// Segments that must be there from now on.
  private(set) var listed: Set<UInt32> = []
  private var contents: [UInt32: Content] = [:]
  /// Deletions of chunks, with the segments that tell of them, in the segments' order.
  private var deletions: [(segment: UInt32, kill: RecordKill)] = []
  /// Records that no longer count, by segment.
  private var killed: [UInt32: Set<UInt32>] = [:]

  init(disk: any Disk, directory: DataDirectory, limits: StoreState.Limits, hashSeed: UInt64) {
    self.disk = disk
    self.directory = directory
    state = StoreState(limits: limits, index: ChunkIndex(hashSeed: hashSeed))
  }

  /// Reads everything.
  ///
  /// - Throws: what keeps the store from working at all: its directories can't be made, listed or
  ///   written to, or a segment is of a newer version.
  mutating func run() async throws(StoreError) {
    try await disk.makeDirectory(StorePaths.segments)
    try await disk.sync(directory: "")
    try await disk.removeIfThere(SegmentList.path + StorePaths.temporarySuffix)
    let numbers = try await findSegments()
    for number in numbers { try await survey(number) }
    state.index.reserve(
      contents.values.reduce(0) { $0 + $1.entryCount })
    for number in numbers { await take(number) }
    for (number, kill) in deletions { state.rememberDeletion(kill, in: number) }
    deletions = []
    for number in numbers { await seal(number) }
    try await dropEmpty(numbers)
  }

  /// The numbers of the segments that are there; notes those that should be.
  private mutating func findSegments() async throws(StoreError) -> [UInt32] {
    var numbers: [UInt32] = []
    for entry in try await disk.list(StorePaths.segments) {
      let path = "\(StorePaths.segments)/\(entry.name)"
      if let number = StorePaths.segment(ofFile: entry.name) {
        numbers.append(number)
      } else if path != SegmentList.path {
        report(path, "is no segment; left alone")
      }
    }
    numbers.sort()
    do throws(StoreError) {
      known = try await SegmentList.read(on: disk)
    } catch {
      report(SegmentList.path, "cannot be read: \(error.message)")
      known = nil
    }
    if known == nil, !numbers.isEmpty {
      report(SegmentList.path, "is damaged or gone; written anew from the segments that are there")
    }
    for number in (known?.numbers ?? []).subtracting(numbers).sorted() {
      report(StorePaths.segment(number), "is gone: the chunks in it are lost here")
    }
    let highest = max(numbers.last ?? 0, known?.numbers.max() ?? 0)
    state.nextNumber = highest + 1
    return numbers
  }

  /// Reads what a segment says of itself and of others.
  private mutating func survey(_ number: UInt32) async throws(StoreError) {
    let path = StorePaths.segment(number)
    listed.insert(number)
    do throws(StoreError) {
      let file = try await disk.open(path)
      let head = try await file.read(at: 0, length: SegmentHeader.bytes)
      guard try isOurs(head, number: number) else {
        report(path, "belongs to another disk; left alone")
        return
      }
      var content = try await checkpoint(of: file, number: number, fileBytes: head.fileBytes)
      if content == nil {
        let scan = await SegmentRecovery.scan(file, number: number, fileBytes: head.fileBytes)
        for problem in scan.problems { report(path, problem) }
        for kill in scan.kills { noteKill(kill, of: number) }
        content = .scanned(scan)
        // A process that was killed may have left bytes that the system has not written yet: what is
        // believed from here on must outlive a power cut. A checkpoint names only what does.
        try await file.writeAndSync([])
      }
      contents[number] = content
      let segment = Segment(
        number: number, phase: .sealed, capacity: head.fileBytes, reserved: head.fileBytes,
        end: head.fileBytes, diskBytes: head.diskBytes)
      state.segments[number] = segment
      await file.close()
    } catch {
      guard error.code != .preconditionFailed else {
        throw StoreError(error.code, "'\(path)': \(error.message)")
      }
      report(path, "cannot be read: \(error.message); the chunks in it are lost here")
    }
  }

  /// Whether a segment was made on this disk; one whose header is damaged is taken for ours, because
  /// its records say where they belong.
  private func isOurs(_ head: DiskRead, number: UInt32) throws(StoreError) -> Bool {
    do throws(StoreError) {
      let header = try SegmentHeader(decoding: head.bytes)
      return header.disk == directory.disk && header.number == number
    } catch {
      guard error.code == .dataLoss else { throw error }
      return true
    }
  }

  /// A segment's checkpoint with its kills taken in; nil where there is none that is whole.
  private mutating func checkpoint(
    of file: any DiskFile, number: UInt32, fileBytes: Int
  ) async throws(StoreError) -> Content? {
    guard
      let footer = try await SegmentRecovery.footer(of: file, number: number, fileBytes: fileBytes),
      footer.disk == directory.disk
    else { return nil }
    let range = footer.killsRange
    let bytes = try await file.read(at: range.lowerBound, length: range.count).bytes
    guard let kills = SegmentCheckpoint.kills(bytes, footer: footer) else { return nil }
    for kill in kills {
      noteKill(kill, of: number)
      targets[number, default: [:]][kill.place.segment, default: 0] += 1
    }
    return .sealed(footer)
  }

  /// The list of segments as it was found.
  private var known: SegmentList?
  /// How many records of which others a segment ended.
  private var targets: [UInt32: [UInt32: Int]] = [:]

  /// A sealed segment's footer.
  static func footer(
    of file: any DiskFile, number: UInt32, fileBytes: Int
  ) async throws(StoreError) -> SegmentCheckpoint.Footer? {
    let last = fileBytes - SegmentCheckpoint.Footer.bytes
    guard last > 0 else { return nil }
    let block = try await file.read(at: last, length: SegmentCheckpoint.Footer.bytes)
    guard
      let footer = SegmentCheckpoint.Footer(decoding: block.bytes, fileBytes: fileBytes),
      footer.number == number
    else { return nil }
    return footer
  }

  private mutating func noteKill(_ kill: RecordKill, of number: UInt32) {
    killed[kill.place.segment, default: []].insert(kill.place.unit)
    if kill.deletedAt > 0 { deletions.append((number, kill)) }
  }

  /// Takes in what counts of a segment.
  private mutating func take(_ number: UInt32) async {
    let path = StorePaths.segment(number)
    switch contents[number] {
    case nil: return
    case .sealed(let footer):
      if let entries = await entries(of: number, footer: footer) {
        take(entries, of: number)
        state.segments[number]?.killTargets = targets[number] ?? [:]
        state.segments[number]?.writtenBytes = Int(clamping: footer.writtenBytes)
        state.segments[number]?.items = Int(footer.entryCount) + Int(footer.killCount)
        return
      }
      report(path, "its checkpoint is damaged; the whole segment was read")
      guard let file = try? await disk.open(path) else {
        report(path, "cannot be opened again")
        state.segments[number]?.isUnread = true
        return
      }
      let scan = await SegmentRecovery.scan(file, number: number, fileBytes: Int(footer.offset))
      for problem in scan.problems { report(path, problem) }
      contents[number] = .scanned(scan)
      take(scan.entries, scan, of: number)
    case .scanned(let scan):
      take(scan.entries, scan, of: number)
    }
  }

  private func entries(
    of number: UInt32, footer: SegmentCheckpoint.Footer
  ) async -> [SegmentEntry]? {
    guard
      let file = try? await disk.open(StorePaths.segment(number)),
      let bytes = try? await file.read(
        at: footer.entriesRange.lowerBound, length: footer.entriesRange.count
      ).bytes
    else { return nil }
    return SegmentCheckpoint.entries(bytes, footer: footer)
  }

  /// Takes entries in, unless something ended them. Of two records of a chunk the later one counts.
  private mutating func take(
    _ entries: [SegmentEntry], _ scan: Scan? = nil, of number: UInt32
  ) {
    let dead = killed[number] ?? []
    var live = 0
    for entry in entries where dead.isEmpty || !dead.contains(entry.unit) {
      let old = state.takeIn(
        entry.id,
        ChunkIndex.Entry(
          place: RecordPlace(segment: number, unit: entry.unit), length: entry.length,
          isDamaged: scan?.damaged.contains(entry.unit) ?? false,
          isDoubtful: scan?.doubtful.contains(entry.unit) ?? false))
      live += Segment.recordBytes(length: entry.length)
      guard let old else { continue }
      state.ghosts[entry.id, default: []].append(old.place)
      state.segments[old.place.segment]?.liveBytes -= Segment.recordBytes(length: old.length)
    }
    state.segments[number]?.liveBytes += live
  }

  /// Ends a segment that was read whole with a checkpoint of what counts.
  private mutating func seal(_ number: UInt32) async {
    guard case .scanned(let scan)? = contents[number] else { return }
    let kills = state.checkpointKills(of: scan.kills, in: number)
    state.segments[number]?.writtenBytes = scan.writtenBytes
    state.segments[number]?.items = scan.entries.count + scan.kills.count
    for kill in kills {
      state.segments[number]?.killTargets[kill.place.segment, default: 0] += 1
    }
    if scan.entries.isEmpty, scan.kills.isEmpty, !scan.isUnreadable { return }
    let entries = scan.entries.filter {
      state.index[$0.id]?.place == RecordPlace(segment: number, unit: $0.unit)
    }
    state.segments[number]?.entries = entries
    state.segments[number]?.kills = kills
    state.segments[number]?.phase = .failed
    // One that could not be read is left as it is: it may be readable another day.
    guard !scan.isUnreadable else {
      state.segments[number]?.isUnread = true
      return
    }
    do throws(StoreError) {
      let bytes = try await SegmentStore.writeCheckpoint(
        SegmentCheckpoint(
          entries: entries, kills: kills,
          writtenBytes: state.segments[number]?.writtenBytes ?? 0), number: number,
        disk: directory.disk,
        recordsEnd: scan.recordsEnd,
        writer: try await disk.openForWriting(StorePaths.segment(number)))
      state.segments[number]?.entries = []
      state.segments[number]?.kills = []
      state.segments[number]?.phase = .sealed
      let known = state.segments[number]?.diskBytes ?? bytes
      state.segments[number]?.diskBytes = min(bytes, known)
    } catch {
      report(
        StorePaths.segment(number), "its checkpoint could not be written: \(error.message)")
    }
  }

  /// Removes segments that nothing was written to before the power went, and writes down which are left.
  private mutating func dropEmpty(_ numbers: [UInt32]) async throws(StoreError) {
    var empty: [UInt32] = []
    for number in numbers {
      guard case .scanned(let scan)? = contents[number], scan.entries.isEmpty, scan.kills.isEmpty,
        !scan.isUnreadable
      else { continue }
      empty.append(number)
      listed.remove(number)
      state.segments[number] = nil
    }
    // What a process that was killed left in the directory must outlive a power cut as well: the list's
    // writing sees to that, and so must we where it isn't written.
    guard !empty.isEmpty || listed != known?.numbers else {
      try await disk.sync(directory: StorePaths.segments)
      return
    }
    do throws(StoreError) {
      try await SegmentList(numbers: listed).write(on: disk)
    } catch {
      // A full disk: what stands there now is right but for segments that nothing was written to.
      guard error.code == .resourceExhausted else { throw error }
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

  private mutating func report(_ path: String, _ message: String) {
    guard problems.count < SegmentStore.maxProblems else { return }
    problems.append(ChunkStoreProblem(path: path, message: message))
  }

  // MARK: Reading a segment whole

  /// Reads and verifies every record of a segment.
  ///
  /// A record whose payload is damaged was torn before it was acknowledged, unless a later header says
  /// that its commit was durable.
  static func scan(_ file: any DiskFile, number: UInt32, fileBytes: Int) async -> Scan {
    var scan = Scan()
    var scanner = SegmentScanner(file: file, number: number, end: fileBytes)
    var bad: [RecordHeader] = []
    var durable: UInt64 = 0
    var batches: [UInt32: UInt64] = [:]
    do throws(StoreError) {
      while let finding = try await scanner.next() {
        guard case .record(let header, let badBlocks) = finding else { continue }
        durable = max(durable, header.durableBatch)
        scan.recordsEnd = header.place.offset + header.recordBytes
        guard badBlocks.isEmpty else {
          bad.append(header)
          continue
        }
        scan.take(header)
        batches[header.place.unit] = header.batch
      }
    } catch {
      scan.isUnreadable = true
      scan.problems.append("it can't be read to its end: \(error.message)")
    }
    scan.doubtful = Set(batches.filter { $0.value > durable }.keys)
    for header in bad {
      let chunk = header.record.chunk.id
      if header.batch <= durable {
        scan.take(header)
        scan.damaged.insert(header.place.unit)
        scan.problems.append("chunk \(chunk) at byte \(header.place.offset) is damaged")
      } else {
        scan.problems.append(
          "chunk \(chunk) at byte \(header.place.offset) is not whole and was skipped: "
            + "it was being written when the power went")
      }
    }
    scan.entries.sort { $0.unit < $1.unit }
    return scan
  }
}

extension SegmentRecovery.Scan {
  /// Takes a record in.
  fileprivate mutating func take(_ header: RecordHeader) {
    let chunk = header.record.chunk
    writtenBytes +=
      header.kind == .chunk
      ? Segment.recordBytes(length: chunk.length) : RecordHeader.deletionBytes
    if header.kind == .chunk {
      entries.append(
        SegmentEntry(id: chunk.id, unit: header.place.unit, length: chunk.length))
    }
    if let kill = header.kill { kills.append(kill) }
  }
}
