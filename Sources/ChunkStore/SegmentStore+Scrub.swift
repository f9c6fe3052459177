import StoreModel
import Synchronization

/// The file `scrub`: when each segment was last found whole, so that a restart goes on where it was, and sooner
/// looks again at what was damaged.
///
/// ```
/// holdfast scrub 1
/// 17 1767225600
/// checksum 89abcdef
/// ```
struct ScrubLog: Sendable, Hashable {
  /// Seconds since 1970, by segment.
  var verifiedAt: [UInt32: Int64] = [:]

  private static let title = "holdfast scrub 1"
  private static let maxBytes = 64 << 20

  /// The file's text.
  var text: String {
    let lines = verifiedAt.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    return CheckedText.text(title: ScrubLog.title, lines: lines)
  }

  /// Reads the file's text; what is damaged counts as never verified.
  init(parsing text: String) {
    for line in CheckedText.lines(of: text, title: ScrubLog.title) ?? [] {
      let parts = line.split(separator: " ")
      guard parts.count == 2, let number = UInt32(parts[0]), let time = Int64(parts[1]) else {
        continue
      }
      verifiedAt[number] = time
    }
  }

  /// Describes what was verified.
  init(verifiedAt: [UInt32: Int64]) {
    self.verifiedAt = verifiedAt
  }

  /// Reads the file; what can't be read counts as never verified.
  static func read(on disk: any Disk) async -> ScrubLog {
    let text = try? await CheckedText.read(StorePaths.scrub, on: disk, maxBytes: maxBytes)
    return ScrubLog(parsing: text ?? "")
  }

  /// Replaces the file. It may be lost with the power: then some is verified once more.
  func write(on disk: any Disk) async throws(StoreError) {
    try await CheckedText.write(text, to: StorePaths.scrub, in: nil, on: disk)
  }
}

/// Verification: everything is read once within a deadline, evenly spread over it, whether somebody asks
/// for it or not; what is found damaged is reported.
extension SegmentStore {
  /// Verifies segments, the longest unverified first, until the task is cancelled.
  func scrubForever() async {
    // One that can't be verified now keeps nobody from verifying the others.
    var failed: Set<UInt32> = []
    while !Task.isCancelled {
      // Some upkeep is due because time has passed, though nobody changed anything.
      upkeepBell.continuation.yield()
      guard let number = segmentToScrub(besides: failed) else {
        failed = []
        guard (try? await clock.sleep(until: clock.nanoseconds + SegmentStore.scrubPause)) != nil
        else { return }
        continue
      }
      do {
        try await scrub(number)
      } catch is CancellationError {
        return
      } catch {
        failed.insert(number)
        let message = (error as? StoreError)?.message ?? "\(error)"
        report(StorePaths.segment(number), "could not be verified: \(message)")
      }
    }
  }

  /// How long verification waits where there is nothing to do, in nanoseconds.
  private static let scrubPause: UInt64 = 60_000_000_000
  /// The least speed at which it reads, in bytes a second.
  private static let minScrubBytesPerSecond = 1 << 20

  /// Half the deadline, in seconds: so long after a segment's first record it is sealed, if it isn't full
  /// before, and so long is what all that is sealed is read in.
  var scrubInterval: Int64 {
    max(configuration.scrubDeadline.components.seconds / 2, 1)
  }

  /// The segment that was not verified for longest, of those that nothing is written to any more; nil when
  /// all were within half the deadline.
  func segmentToScrub(besides failed: Set<UInt32> = []) -> UInt32? {
    let newest = clock.wallSeconds - scrubInterval
    return shell.withLock { shell in
      shell.state.segments.values
        .filter { $0.mayBeScrubbed && !failed.contains($0.number) }
        .map { (time: shell.verifiedAt[$0.number] ?? .min, number: $0.number) }
        .filter { $0.time < newest || $0.time > clock.wallSeconds }
        .min { ($0.time, $0.number) < ($1.time, $1.number) }?.number
    }
  }

  /// Verifies every record of a segment that counts.
  func scrub(_ number: UInt32) async throws {
    let total = shell.withLock { shell in
      shell.state.segments.values.reduce(0) { $0 + $1.liveBytes }
    }
    var limiter = BandwidthLimit(
      bytesPerSecond: max(total / Int(scrubInterval), SegmentStore.minScrubBytesPerSecond))
    let parts = shell.withLock { $0.state.index.partCount }
    var entries: [(id: ChunkID, place: RecordPlace, length: UInt32)] = []
    for part in 0..<parts {
      shell.withLock { shell in
        shell.state.index.forEach(inPart: part) { id, entry in
          if entry.place.segment == number { entries.append((id, entry.place, entry.length)) }
        }
      }
    }
    entries.sort { $0.place < $1.place }
    // What the system has in memory says nothing about the disk.
    await (try reader(of: number)).forget()
    for entry in entries {
      try Task.checkCancellation()
      if let wake = limiter.spend(Segment.recordBytes(length: entry.length), now: clock.nanoseconds)
      {
        try await clock.sleep(until: wake)
      }
      guard shell.withLock({ $0.state.index[entry.id]?.place }) == entry.place else { continue }
      try await verify(entry.id)
    }
    let isWhole = try await verifyCheckpoint(of: number)
    let log = shell.withLock { shell in
      // It may have gone meanwhile.
      if shell.state.segments[number] != nil { shell.verifiedAt[number] = clock.wallSeconds }
      if !isWhole { shell.spoiled.insert(number) }
      let spoiled = shell.spoiled.union(
        shell.state.damaged.compactMap { shell.state.index[$0]?.place.segment })
      return ScrubLog(verifiedAt: shell.verifiedAt.filter { !spoiled.contains($0.key) })
    }
    try await log.write(on: disk)
  }

  /// Reads and verifies a sealed segment's header and checkpoint, without which deletions of which it tells would be
  /// lost; tells where they are damaged.
  ///
  /// - Returns: whether they are whole.
  private func verifyCheckpoint(of number: UInt32) async throws(StoreError) -> Bool {
    let isThere = shell.withLock { shell in
      guard let segment = shell.state.segments[number], segment.phase == .sealed,
        segment.mayBeScrubbed
      else { return false }
      // So that it isn't removed meanwhile.
      shell.state.segments[number]?.pins += 1
      return true
    }
    guard isThere else { return true }
    defer { unpin(number) }
    do throws(StoreError) {
      let file = try await reader(of: number)
      _ = try SegmentHeader(decoding: try await file.read(at: 0, length: SegmentHeader.bytes).bytes)
      try await SegmentCheckpoint.verify(file, number: number)
      return true
    } catch {
      guard error.code == .dataLoss else { throw error }
      report(
        StorePaths.segment(number), "\(error.message): it is read whole when the store opens next")
      return false
    }
  }

  /// Reads and verifies a chunk; what is damaged is noted by the reader.
  private func verify(_ id: ChunkID) async throws {
    do {
      _ = try await soundHeader(of: id)
    } catch let error as StoreError where [.notFound, .deleted].contains(error.code) {
      return
    }
  }

  /// The header of a chunk of which every block was just read and verified; nil when it is damaged.
  func soundHeader(of id: ChunkID) async throws -> RecordHeader? {
    let found = try await verifiedHeader(of: id)
    return found.isSound ? found.header : nil
  }

  /// Reads and verifies every block of a chunk.
  ///
  /// - Returns: its record's header, nil where that is damaged; and whether all of it is as it was stored.
  func verifiedHeader(of id: ChunkID) async throws -> (header: RecordHeader?, isSound: Bool) {
    var header: RecordHeader?
    do {
      let reader = try await openRecord(id)
      defer { unpin(reader.header.place.segment) }
      header = reader.header
      try await reader.verifyAll()
      shell.withLock { $0.state.noteSound(id, at: reader.header.place) }
      return (header, true)
    } catch let error as StoreError where error.code == .dataLoss {
      return (header, false)
    }
  }
}
