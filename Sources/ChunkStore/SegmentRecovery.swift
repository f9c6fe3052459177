import Checksum
import NIOCore
import StoreModel

/// Finds out what a data directory's segments hold when the store opens.
///
/// Of a sealed segment the checkpoint is read. One without a checkpoint, or with a damaged one, is read
/// whole and every record verified: those that were never acknowledged are skipped, those that are
/// damaged reported, and the segment is sealed with what was found, or, where that could lose something,
/// left to be emptied into others. Nothing that is wrong in a segment stops it, and no record is added to
/// one that existed before.
struct SegmentRecovery: Sendable {
  /// What is known of a segment before its entries are taken in.
  enum Content: Sendable {
    case sealed(SegmentCheckpoint.Footer)
    case scanned(SegmentScan)

    /// Whether nothing is known to have been in it.
    var isEmpty: Bool {
      if case .scanned(let scan) = self { scan.isEmpty } else { false }
    }

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
  var state: StoreState
  private(set) var problems: [ChunkStoreProblem] = []
  /// Segments that must be there from now on.
  var listed = SegmentList()
  private(set) var contents: [UInt32: Content] = [:]
  /// The list of segments as it was found.
  private(set) var known: SegmentList?
  /// Whether the list is there and could not be read.
  private var isListUnread = false
  /// Segments in which nothing counts any more, as they say themselves.
  private(set) var emptied: Set<UInt32> = []
  /// Segments whose headers are damaged.
  private(set) var headless: Set<UInt32> = []
  /// Segments whose headers can't be read.
  private var unreadHeads: Set<UInt32> = []
  /// Whether sealed segments could be synced, where that was tried.
  var synced: [UInt32: Bool] = [:]
  /// The segments' keys, as far as they have any and their headers are whole.
  private var keys: [UInt32: UInt64] = [:]
  /// How many records of which segments a segment ended.
  private var targets: [UInt32: [UInt32: Int]] = [:]
  /// Deletions of chunks, with the segments that tell of them, in the segments' order.
  private var deletions: [(segment: UInt32, kill: RecordKill)] = []
  /// Records that no longer count though nothing names them: to be ended before the deletion is forgotten that
  /// they are older than.
  private(set) var overtaken: [RecordKill] = []
  /// The highest record of each chunk that a deletion ended.
  private var deletedUpTo: ChunkIndex
  /// Records that no longer count, by segment.
  private var killed: [UInt32: Set<UInt32>] = [:]

  init(disk: any Disk, directory: DataDirectory, limits: StoreState.Limits, hashSeed: UInt64) {
    self.disk = disk
    self.directory = directory
    state = StoreState(limits: limits, index: ChunkIndex(hashSeed: hashSeed))
    deletedUpTo = ChunkIndex(hashSeed: hashSeed)
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
    state.gone.subtract(state.segments.keys)
    noteUnsureKills()
    state.index.reserve(
      contents.values.reduce(0) { $0 + $1.entryCount })
    for number in numbers { await take(number) }
    for (number, kill) in deletions { state.rememberDeletion(kill, in: number) }
    deletions = []
    // Where the list is damaged, those that are gone are still named by others. Numbers far beyond are none
    // that there can have been, and would leave none for new segments.
    let believed = state.nextNumber.addingReportingOverflow(1 << 20).partialValue
    let named = killed.keys.filter { $0 < min(believed, StorePaths.maxSegment) }.max() ?? 0
    state.nextNumber = max(state.nextNumber, named + 1)
    for number in numbers { await seal(number) }
    try await dropEmpty(numbers)
    state.attention = Set(state.segments.keys)
    let cut = state.segments.values.filter(\.isCut).map(\.number)
    state.lastLoss = max(state.lastLoss, state.unread.union(state.gone).union(cut).max() ?? 0)
  }

  /// What is said of a mark.
  static let lostSegment =
    "something of this segment was lost here, and what is left of it may be in this file: remove it when nobody "
    + "needs to know any more"

  /// The numbers of the segments that are there; notes those that should be.
  private mutating func findSegments() async throws(StoreError) -> [UInt32] {
    var numbers: [UInt32] = []
    for name in try await disk.list(StorePaths.segments) {
      let path = "\(StorePaths.segments)/\(name)"
      if let number = StorePaths.segment(ofFile: name) {
        numbers.append(number)
      } else if name.hasSuffix(StorePaths.lostSuffix) {
        report(path, SegmentRecovery.lostSegment)
        let number = StorePaths.segment(ofFile: String(name.dropLast(StorePaths.lostSuffix.count)))
        if let number {
          state.gone.insert(number)
          state.lastLoss = max(state.lastLoss, number)
        }
      } else if path != SegmentList.path {
        report(path, "is no segment; left alone")
      }
    }
    numbers.sort()
    do throws(StoreError) {
      known = try await SegmentList.read(on: disk)
    } catch {
      // A lack of descriptors or memory says nothing about the list.
      guard error.code != .unavailable else { throw error }
      report(SegmentList.path, "cannot be read: \(error.message)")
      isListUnread = true
    }
    if known == nil, !numbers.isEmpty {
      report(SegmentList.path, "is damaged or gone; written anew from the segments that are there")
    }
    for number in (known?.numbers ?? []).subtracting(numbers).sorted() { await noteGone(number) }
    if known == nil, numbers.isEmpty, !isListUnread { try await checkIsNew() }
    let highest = max(numbers.last ?? 0, known?.numbers.max() ?? 0)
    state.nextNumber = max(highest + 1, known?.next ?? 1)
    return numbers
  }

  /// Reads what a segment says of itself and of others.
  private mutating func survey(_ number: UInt32) async throws(StoreError) {
    let path = StorePaths.segment(number)
    listed.begin(number)
    let wasSealed = known?.isSealed(number) ?? false
    if wasSealed { listed.open.remove(number) }
    do throws(StoreError) {
      let file = try await disk.open(path)
      let size = try await file.size()
      let head = try await header(of: file, number: number, path)
      if let stranger = head?.stranger(as: number, of: directory) {
        report(path, "\(stranger); left alone")
        if known?.numbers.contains(number) == true {
          noteUnread(number)
        } else {
          listed.remove(number)
        }
        return
      }
      state.segments[number] = Segment(
        number: number, phase: .sealed, capacity: size.bytes, reserved: size.bytes,
        end: size.bytes, diskBytes: size.diskBytes)
      if head == nil { headless.insert(number) }
      if head?.key == SegmentHeader.emptiedKey {
        emptied.insert(number)
        return
      }
      keys[number] = head?.key
      contents[number] = await content(of: file, number: number, fileBytes: size.bytes)
      await file.close()
    } catch {
      switch error.code {
      case .preconditionFailed, .unavailable:
        // A newer version, or a lack of descriptors or memory: nothing is wrong with the segment.
        throw StoreError(error.code, "'\(path)': \(error.message)")
      case .invalidArgument:
        report(path, "\(error.message); left alone")
        listed.remove(number)
        if known?.numbers.contains(number) == true { await noteGone(number) }
      default:
        report(
          path,
          "cannot be read: \(error.message); the chunks in it are missing here, and deletions of which it tells are "
            + "not known")
        noteUnread(number)
      }
    }
  }

  /// A segment's header; nil where it is damaged or can't be read: such a segment is taken for ours, because its
  /// records say where they belong.
  private mutating func header(
    of file: any DiskFile, number: UInt32, _ path: String
  ) async throws(StoreError) -> SegmentHeader? {
    do throws(StoreError) {
      let bytes = try await file.read(at: 0, length: SegmentHeader.bytes).bytes
      return try SegmentHeader(decoding: bytes)
    } catch {
      guard ![.preconditionFailed, .unavailable].contains(error.code) else { throw error }
      // One that nothing was written to before the power went is no surprise.
      guard error.code != .dataLoss else { return nil }
      report(path, "its header can't be read: \(error.message)")
      unreadHeads.insert(number)
      return nil
    }
  }

  /// What a segment holds, with its kills taken in: by its checkpoint, or by reading it whole where that
  /// is not there, or its kills are damaged.
  private mutating func content(
    of file: any DiskFile, number: UInt32, fileBytes: Int
  ) async -> Content {
    var isUnreadable = false
    var sealed: SegmentCheckpoint.Footer?
    do throws(StoreError) {
      if let footer = try await SegmentRecovery.footer(
        of: file, number: number, fileBytes: fileBytes), footer.disk == directory.disk
      {
        sealed = footer
        if let kills = try await SegmentRecovery.kills(of: file, footer) {
          for kill in kills {
            noteKill(kill, of: number)
            targets[number, default: [:]][kill.place.segment, default: 0] += 1
          }
          await noteSealed(number, file)
          return .sealed(footer)
        }
        report(StorePaths.segment(number), "its checkpoint is damaged; the whole segment was read")
        // Deletions of which it told may be lost, unless it was torn while it was written.
        state.segments[number]?.isCut = known?.isSealed(number) ?? false
      }
    } catch {
      isUnreadable = true
      report(StorePaths.segment(number), "its checkpoint can't be read: \(error.message)")
    }
    let wasSealed = known?.isSealed(number) ?? false
    if wasSealed, sealed == nil, !isUnreadable {
      report(
        StorePaths.segment(number),
        "its end is damaged or gone: the whole segment was read; chunks, and deletions, of which it told may be "
          + "lost here")
      state.segments[number]?.isCut = true
    }
    var scan = await SegmentScan(
      of: file, number: number, key: keys[number], fileBytes: fileBytes, footer: sealed,
      wasSealed: wasSealed)
    // Without its key anything may pass for one of its records.
    scan.isUnreadable = scan.isUnreadable || isUnreadable || unreadHeads.contains(number)
    for kill in scan.kills { noteKill(kill, of: number) }
    guard !scan.isSealed else { return .scanned(scan) }
    do throws(StoreError) {
      // A process that was killed may have left bytes that the system has not written yet: what is
      // believed from here on must outlive a power cut. A checkpoint names only what does.
      try await file.writeAndSync([])
    } catch {
      report(StorePaths.segment(number), "can't be synced: \(error.message)")
      scan.doubtAll()
    }
    return .scanned(scan)
  }

  /// A checkpoint's kills; nil where they are damaged.
  private static func kills(
    of file: any DiskFile, _ footer: SegmentCheckpoint.Footer
  ) async throws(StoreError) -> [RecordKill]? {
    let range = footer.killsRange
    let bytes = try await file.read(at: range.lowerBound, length: range.count).bytes
    return SegmentCheckpoint.kills(bytes, footer: footer)
  }

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

  /// Takes in, before anything is read, that records no longer count though no record here says so.
  mutating func end(_ places: [RecordPlace]) {
    for place in places { killed[place.segment, default: []].insert(place.unit) }
  }

  /// A record that may have been torn was not, if another record has ended it: what it ended itself is ended then.
  private mutating func noteUnsureKills() {
    for (number, content) in contents {
      guard case .scanned(let scan) = content else { continue }
      for (unit, kill) in scan.unsureKills where killed[number]?.contains(unit) ?? false {
        noteKill(kill, of: number)
      }
    }
  }

  private mutating func noteKill(_ kill: RecordKill, of number: UInt32) {
    killed[kill.place.segment, default: []].insert(kill.place.unit)
    guard kill.deletedAt > 0 else { return }
    deletions.append((number, kill))
    if let known = deletedUpTo[kill.id], known.place >= kill.place { return }
    deletedUpTo.set(kill.id, ChunkIndex.Entry(place: kill.place, length: 0))
  }

  /// Takes in what counts of a segment.
  private mutating func take(_ number: UInt32) async {
    let path = StorePaths.segment(number)
    switch contents[number] {
    case nil: return
    case .sealed(let footer):
      let taken = await takeEntries(of: number, footer: footer)
      guard case .none = taken else {
        if case .some = taken {
          report(path, "its checkpoint can no longer be read; chunks in it are missing here")
          state.unread.insert(number)
        }
        state.segments[number]?.mayBeUnsynced = synced[number] != true
        state.segments[number]?.isSyncable = synced[number] != false
        state.segments[number]?.killTargets = targets[number] ?? [:]
        state.segments[number]?.writtenBytes = Int(clamping: footer.writtenBytes)
        state.segments[number]?.items = Int(footer.entryCount) + Int(footer.killCount)
        return
      }
      report(path, "its checkpoint is damaged; the whole segment was read")
      let scan: SegmentScan
      do throws(StoreError) {
        let file = try await disk.open(path)
        var whole = await SegmentScan(
          of: file, number: number, key: keys[number], fileBytes: footer.fileBytes, footer: footer)
        // Its records may have had their room given back since they ended others: the checkpoint knows.
        whole.kills += try await SegmentRecovery.kills(of: file, footer) ?? []
        scan = whole
      } catch {
        report(path, "cannot be opened again: \(error.message)")
        state.unread.insert(number)
        return
      }
      contents[number] = .scanned(scan)
      take(scan, of: number)
    case .scanned(let scan):
      take(scan, of: number)
    }
    if headless.contains(number), contents[number]?.isEmpty == false {
      report(path, "its header is damaged; what it holds was read all the same")
    }
  }

  /// Takes in what was found in a segment that was read whole.
  private mutating func take(_ scan: SegmentScan, of number: UInt32) {
    for problem in scan.problems
    where problem.unit.map({ killed[number]?.contains($0) ?? false }) != true {
      report(StorePaths.segment(number), problem.message)
    }
    take(scan.entries, scan, of: number)
  }

  /// How a checkpoint's entries were taken in.
  private enum Taken: Sendable {
    case all
    /// None, because they are not what was written.
    case none
    /// Some, and then they could no longer be read.
    case some
  }

  /// Takes in the entries of a segment's checkpoint, a part at a time: there may be a million.
  ///
  /// None is believed before all were found right, so they are read twice; the second time out of memory.
  private mutating func takeEntries(
    of number: UInt32, footer: SegmentCheckpoint.Footer
  ) async -> Taken {
    guard let file = try? await disk.open(StorePaths.segment(number)) else { return .none }
    let range = footer.entriesRange
    let parts = stride(from: range.lowerBound, to: range.upperBound, by: Self.entriesPart).map {
      $0..<min($0 + Self.entriesPart, range.upperBound)
    }
    var whole = CRC32C()
    var sums: [UInt32] = []
    for part in parts {
      guard let bytes = try? await file.read(at: part.lowerBound, length: part.count).bytes,
        bytes.readableBytes == part.count
      else { return .none }
      whole.update(bytes)
      sums.append(CRC32C.checksum(of: bytes))
    }
    guard whole.value == footer.entriesChecksum else { return .none }
    for (part, sum) in zip(parts, sums) {
      guard let bytes = try? await file.read(at: part.lowerBound, length: part.count).bytes,
        CRC32C.checksum(of: bytes) == sum
      else { return .some }
      take(SegmentCheckpoint.entries(bytes), of: number)
    }
    return .all
  }

  /// Bytes of a checkpoint's entries that are read at a time.
  private static let entriesPart = SegmentCheckpoint.entryBytes << 15

  /// Takes entries in, unless something ended them. Of two records of a chunk the later one counts.
  private mutating func take(
    _ entries: [SegmentEntry], _ scan: SegmentScan? = nil, of number: UInt32
  ) {
    let dead = killed[number] ?? []
    var live = 0
    for entry in entries where dead.isEmpty || !dead.contains(entry.unit) {
      // What stands lower than a record that was deleted is older than the deletion, which may not have known
      // of it, because it could not be read.
      if deletedUpTo.count > 0, let deleted = deletedUpTo[entry.id]?.place,
        RecordPlace(segment: number, unit: entry.unit) < deleted
      {
        let place = RecordPlace(segment: number, unit: entry.unit)
        state.ghosts[entry.id, default: []].append(place)
        overtaken.append(RecordKill(id: entry.id, place: place))
        continue
      }
      if let scan, scan.unsure.contains(entry.unit), state.index[entry.id] != nil {
        // It is ended together with what counts.
        state.ghosts[entry.id, default: []].append(RecordPlace(segment: number, unit: entry.unit))
        continue
      }
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
  ///
  /// Not one that was sealed before, whose checkpoint may be the only one to know what records ended whose
  /// room was given back: what it holds is moved. Not yet one with records in doubt: they are written anew
  /// first. And not one that could not be read: it may be readable another day.
  private mutating func seal(_ number: UInt32) async {
    guard case .scanned(let scan)? = contents[number] else { return }
    let kills = state.checkpointKills(of: scan.kills, in: number)
    state.segments[number]?.writtenBytes = scan.writtenBytes
    state.segments[number]?.items = scan.entries.count + scan.kills.count
    for kill in kills {
      state.segments[number]?.killTargets[kill.place.segment, default: 0] += 1
    }
    if scan.isEmpty { return }
    let isLossy = scan.lost.contains { killed[number]?.contains($0) != true }
    let isMarked = isLossy ? await noteLoss(number, isSealed: scan.isSealed) : true
    let entries = scan.entries.filter {
      state.index[$0.id]?.place == RecordPlace(segment: number, unit: $0.unit)
    }
    state.segments[number]?.entries = entries
    state.segments[number]?.kills = kills
    state.segments[number]?.end = scan.recordsEnd
    state.segments[number]?.durableBatch = scan.durableBatch
    state.segments[number]?.phase = .failed
    if scan.isUnreadable { state.unread.insert(number) }
    let isInDoubt = !scan.doubtful.isEmpty || !scan.doubtfulKills.isEmpty
    if isInDoubt {
      state.inDoubt.insert(number)
      let doubtful = entries.filter { scan.doubtful.contains($0.unit) }
      let ghosts = doubtful.flatMap { state.ghosts[$0.id] ?? [] }
      state.segments[number]?.doubt = Segment.Doubt(
        entries: doubtful, kills: scan.doubtfulKills,
        needed: Set((scan.doubtfulKills.map(\.place) + ghosts).map(\.segment)))
    }
    guard !scan.isUnreadable, !scan.isSealed, isMarked else { return }
    do throws(StoreError) {
      let writer = try await disk.openForWriting(StorePaths.segment(number))
      state.segments[number]?.writer = writer
      state.segments[number]?.phase = .full
      guard !isInDoubt else { return }
      let bytes = try await SegmentStore.writeCheckpoint(
        SegmentCheckpoint(
          entries: entries, kills: kills, writtenBytes: scan.writtenBytes,
          durableBatch: scan.durableBatch),
        number: number, disk: directory.disk, recordsEnd: scan.recordsEnd, writer: writer)
      state.sealed(number, diskBytes: bytes)
      listed.open.remove(number)
    } catch {
      state.fail(number)
      report(
        StorePaths.segment(number), "its checkpoint could not be written: \(error.message)")
    }
  }

  mutating func report(_ path: String, _ message: String) {
    guard problems.count < SegmentStore.maxProblems else { return }
    problems.append(ChunkStoreProblem(path: path, message: message))
  }
}
