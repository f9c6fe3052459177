import Checksum
import NIOCore
import StoreModel
import Synchronization

/// Giving room back: segments of which much is dead, or that failed, are emptied and removed.
///
/// Every record that still counts is read, verified and written anew, which ends the old one; so at each
/// moment exactly one of the two counts, whenever the power goes. A record that is damaged is not
/// copied, nor dropped: its segment stays until a good copy was stored or the chunk deleted.
extension SegmentStore {
  package func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.keepUp() }
      group.addTask { await self.scrubForever() }
    }
  }

  /// Does upkeep whenever the bell rings.
  private func keepUp() async {
    for await _ in upkeepBell.stream where !Task.isCancelled {
      while await upkeep(), !Task.isCancelled {}
    }
  }

  /// Does one piece of upkeep.
  ///
  /// - Parameter isUrgent: whether somebody waits for room that a deletion needs.
  /// - Returns: whether there was something to do.
  package func upkeep(isUrgent: Bool = false) async -> Bool {
    await turns.take(.upkeep)
    defer { turns.end(.upkeep) }
    let now = clock.wallSeconds
    let isDue = shell.withLock { $0.tick(now: now, sealingAfter: scrubInterval) }
    let needsRoom = isUrgent || shell.withLock(\.state.needsRoom)
    let space = needsRoom ? try? await disk.space() : nil
    let free = needsRoom ? Int(clamping: space?.freeBytes ?? 0) : .max
    let chore = shell.withLock { shell in
      shell.state.nextChore(
        isUrgent: isUrgent, isShort: space.map { shell.state.isShort($0) } ?? false, free: free)
    }
    if isDue { await keepReserve() }
    switch chore {
    case nil: return false
    case .settle(let number): await settle(number)
    case .seal(let number): await trySealing(number)
    case .punch(let number):
      await punch(number)
      await keepReserve()
    case .compact(let number):
      await compact(number, isUrgent: isUrgent)
      await keepReserve()
    }
    return true
  }

  /// Writes records anew of which a segment without a checkpoint doesn't tell whether they are on disk, so that
  /// it can be sealed.
  func settle(_ number: UInt32) async {
    guard let doubt = shell.withLock({ $0.state.segments[number]?.doubt }) else { return }
    do {
      for run in runs(of: doubt.entries) { _ = try await move(run, from: number) }
      // One that can no longer be read may have been in memory alone: what it ended must not end for good.
      let lost = shell.withLock { shell in
        doubt.entries.first {
          shell.state.index[$0.id]?.place == RecordPlace(segment: number, unit: $0.unit)
        }
      }
      if let lost { throw StoreError.damaged(lost.id, "its record was in doubt") }
      // Those of its own records, too: only what is in doubt says that they ended.
      let kills = shell.withLock { shell in
        doubt.kills.filter { shell.state.segments[$0.place.segment] != nil }.map {
          shell.state.remembers($0, in: number) && shell.state.isDeleted($0.id)
            ? $0 : $0.withoutDeletion
        }
      }
      try await write(kills)
      shell.withLock { shell in
        shell.state.segments[number]?.doubt = nil
        shell.state.inDoubt.remove(number)
        shell.state.tryAll()
      }
    } catch {
      giveUp(number, error, "records in doubt could not be written anew")
    }
  }

  /// Ends records that are older than a deletion which didn't know of them.
  func endOvertaken(_ kills: [RecordKill]) async {
    do {
      try await write(kills)
    } catch {
      let message = (error as? StoreError)?.message ?? "\(error)"
      report(
        StorePaths.segments,
        "\(kills.count) records of deleted chunks could not be ended, and come back when the deletions are "
          + "forgotten, unless the store is opened again before: \(message)")
    }
  }

  /// Empties and removes a segment; as fast as it can when somebody waits.
  func compact(_ number: UInt32, isUrgent: Bool = false) async {
    do {
      if shell.withLock({ $0.state.segments[number]?.isRemoved ?? false }) {
        return try await removeSegment(number)
      }
      let content = try await content(of: number)
      var limiter = BandwidthLimit(bytesPerSecond: configuration.compactionBytesPerSecond)
      let runs = runs(of: content.entries)
      // The first run whose room may still be to be given back.
      var unpunched = 0
      for (place, run) in runs.enumerated() {
        try Task.checkCancellation()
        let bytes = try await move(run, from: number)
        let next = place + 1 < runs.count ? runs[place + 1].first?.unit : nil
        if await punchMoved(Array(runs[unpunched...place].joined()), of: number, next: next) {
          // The block in which two runs meet is free when both are.
          unpunched = place
        }
        guard !isUrgent else { continue }
        if let wake = limiter.spend(bytes, now: clock.nanoseconds) {
          try await clock.sleep(until: wake)
        }
      }
      // Not again what was written anew when this was tried before.
      let kills = shell.withLock { shell in
        shell.state.mayNeedKills(of: number)
          ? shell.state.neededKills(of: content.kills, in: number) : []
      }
      try await write(kills)
      shell.withLock { $0.state.segments[number]?.killTargets = [:] }
      let left = shell.withLock { shell in
        let left = shell.state.segments[number]?.liveBytes ?? 0
        if left > 0 { shell.state.segments[number]?.stuckAt = left }
        return left
      }
      if left == 0 { try await removeSegment(number) }
    } catch is CancellationError {
      return
    } catch {
      giveUp(number, error, "could not be compacted")
    }
  }

  /// Notes that a segment can't be compacted now; what changes in it makes it be tried again.
  private func giveUp(_ number: UInt32, _ error: any Error, _ what: String) {
    let message = (error as? StoreError)?.message ?? "\(error)"
    shell.withLock { shell in
      guard shell.state.giveUp(number) else { return }
      shell.report(StorePaths.segment(number), "\(what): \(message)")
    }
  }

  /// What a segment holds, by its checkpoint.
  private func content(of number: UInt32) async throws(StoreError) -> SegmentCheckpoint {
    let segment = shell.withLock { $0.state.segments[number] }
    guard let segment, segment.phase == .sealed else {
      return SegmentCheckpoint(
        entries: segment?.entries.sorted { $0.unit < $1.unit } ?? [],
        kills: segment?.kills ?? [], writtenBytes: 0)
    }
    let file = try await reader(of: number)
    let size = try await file.size().bytes
    guard
      let footer = try await SegmentRecovery.footer(of: file, number: number, fileBytes: size),
      let entries = SegmentCheckpoint.entries(
        try await file.read(
          at: footer.entriesRange.lowerBound, length: footer.entriesRange.count
        ).bytes, footer: footer),
      let kills = SegmentCheckpoint.kills(
        try await file.read(at: footer.killsRange.lowerBound, length: footer.killsRange.count)
          .bytes, footer: footer)
    else { throw StoreError(.dataLoss, "its checkpoint is damaged") }
    return SegmentCheckpoint(
      entries: entries.sorted { $0.unit < $1.unit }, kills: kills, writtenBytes: 0)
  }

  /// What is to be moved at a time: a large record by itself, small ones together, so that they are
  /// packed; no more than a full disk's reserve takes many of.
  private func runs(of entries: [SegmentEntry]) -> [[SegmentEntry]] {
    let reserve = shell.withLock { $0.state.limits.reserveBytes }
    let most = min(
      configuration.compactionRunBytes, SegmentStore.maxTogetherBytes, reserve / 8)
    var runs: [[SegmentEntry]] = []
    var run: [SegmentEntry] = []
    var bytes = 0
    for entry in entries {
      let own = Segment.recordBytes(length: entry.length) + SegmentStore.maxSmallHeaderBytes
      if !run.isEmpty, bytes + own > most {
        runs.append(run)
        (run, bytes) = ([], 0)
      }
      run.append(entry)
      bytes += own
    }
    if !run.isEmpty { runs.append(run) }
    return runs
  }

  /// Writes chunks' records anew that still stand in a segment and are whole.
  ///
  /// - Returns: bytes of their payloads.
  private func move(_ run: [SegmentEntry], from number: UInt32) async throws -> Int {
    // A segment that was not sealed also has records that no longer count, several of one chunk perhaps.
    let standing = shell.withLock { shell in
      run.filter {
        shell.state.index[$0.id]?.place == RecordPlace(segment: number, unit: $0.unit)
      }
    }
    // In the ids' order; whoever has one of these turns waits for no other.
    let entries = standing.sorted { $0.id < $1.id }
    for entry in entries { await turns.take(.chunk(entry.id)) }
    defer { for entry in entries { turns.end(.chunk(entry.id)) } }
    var readers: [SegmentReader] = []
    defer { for reader in readers { unpin(reader.header.place.segment) } }
    for entry in entries {
      let place = RecordPlace(segment: number, unit: entry.unit)
      guard let known = shell.withLock({ $0.state.index[entry.id] }), known.place == place else {
        continue
      }
      // What is damaged stays until another has a good copy: copying the rest of it each time fills the disk.
      if known.isDamaged, try await soundHeader(of: entry.id) == nil { continue }
      do throws(StoreError) {
        readers.append(try await openRecord(entry.id))
      } catch {
        guard error.code == .dataLoss else { throw error }
      }
    }
    let small = readers.filter { $0.isSmall }
    try await copySmall(small)
    for reader in readers where !reader.isSmall {
      do {
        try await copyLarge(reader)
      } catch let error as StoreError where error.code == .dataLoss {
        continue
      }
    }
    return readers.reduce(0) { $0 + Int($1.record.chunk.length) }
  }

  /// Gives the room of records that were moved back before the others are, where that is what the others
  /// need: on a full disk.
  ///
  /// - Returns: whether it was.
  private func punchMoved(
    _ run: @autoclosure () -> [SegmentEntry], of number: UInt32, next: UInt32?
  ) async -> Bool {
    let isFull = shell.withLock { shell in
      guard !shell.state.hasReserve, let segment = shell.state.segments[number],
        segment.mayBePunched, !shell.state.isNeeded(number)
      else { return false }
      let run = run()
      let isDead = run.map { entry in
        shell.state.index[entry.id]?.place != RecordPlace(segment: number, unit: entry.unit)
      }
      shell.state.segments[number]?.dead += Segment.deadRanges(run, isDead, next: next)
      return true
    }
    guard isFull else { return false }
    await punch(number)
    // A segment that is full is cut behind its checkpoint, which gives some room, too.
    while let full = shell.withLock({ $0.state.segmentToSeal }) { await trySealing(full) }
    return true
  }

  /// Writes small records anew, together; those that are damaged are left.
  private func copySmall(_ readers: [SegmentReader]) async throws {
    var commits: [Commit] = []
    for reader in readers {
      do {
        let bytes = try await reader.read(blocks: 0..<reader.header.blocks.count).bytes
        let buffer = DiskBuffer(capacity: bytes.readableBytes)
        bytes.withUnsafeReadableBytes { buffer.bytes.copyMemory(from: $0) }
        let header = RecordHeader.chunk(
          reader.record, blocks: reader.header.blocks, superseding: reader.header.place,
          isAligned: false)
        commits.append(Commit(header: header, body: .gathered(buffer), use: .upkeep))
      } catch let error as StoreError where error.code == .dataLoss {
        continue
      }
    }
    guard !commits.isEmpty else { return }
    for result in await commit(commits) { _ = try result.get() }
  }

  /// Writes a large record anew, block by block, each verified.
  private func copyLarge(_ reader: SegmentReader) async throws {
    let old = reader.header
    let length = Int(old.record.chunk.length)
    var header = RecordHeader.chunk(
      old.record, blocks: old.blocks, superseding: old.place, isAligned: true)
    // Not of the writers' memory: they may wait for this chunk's turn with all of it in their hands.
    let buffer = DiskBuffer(capacity: SegmentPut.bufferBytes)
    let bytes = header.byteCount + DiskBuffer.roundUp(length)
    let extent = try await extent(bytes: bytes, records: 1, use: .upkeep)
    var unused: Int? = bytes
    defer { endExtent(extent, unused: unused) }
    guard let file = writer(of: extent.segment) else {
      throw StoreError(.internal, "segment \(extent.segment) can't be written to")
    }
    let blocksAtOnce = SegmentPut.bufferBytes / BlockChecksums.blockBytes
    for first in stride(from: 0, to: old.blocks.count, by: blocksAtOnce) {
      let last = min(first + blocksAtOnce, old.blocks.count)
      let blocks = try await reader.read(blocks: first..<last)
      let count = blocks.bytes.readableBytes
      blocks.bytes.withUnsafeReadableBytes { buffer.bytes.copyMemory(from: $0) }
      buffer.zero(count..<DiskBuffer.roundUp(count))
      do throws(StoreError) {
        try await file.beginWrite(
          buffer, 0..<DiskBuffer.roundUp(count),
          at: extent.offset + header.byteCount + Int(blocks.offset)
        ).finish()
      } catch {
        fail(extent.segment, error)
        throw error
      }
    }
    header.place = extent
    unused = nil
    _ = try await commit(Commit(header: header, body: .placed(buffer), use: .upkeep)).get()
  }

  /// Says anew which records no longer count.
  private func write(_ kills: [RecordKill]) async throws {
    let together = SegmentStore.maxTogetherBytes / RecordHeader.deletionBytes
    for start in stride(from: 0, to: kills.count, by: together) {
      let commits = kills[start..<min(start + together, kills.count)].map {
        Commit(header: .deletion($0), body: .none, use: .upkeep)
      }
      for result in await commit(commits) { _ = try result.get() }
    }
  }
}

/// Spreads work over time: after each piece it says until when to wait.
struct BandwidthLimit: Sendable {
  private let bytesPerSecond: Int
  /// When all that was spent is paid for.
  private var paidAt: UInt64 = 0

  /// The least pause, in nanoseconds: shorter ones are saved up.
  private static let minPause: UInt64 = 10_000_000

  init(bytesPerSecond: Int) {
    self.bytesPerSecond = max(bytesPerSecond, 1)
  }

  /// Notes that so many bytes were handled.
  ///
  /// - Returns: until when to wait, on the clock of `now`; nil: not at all.
  mutating func spend(_ bytes: Int, now: UInt64) -> UInt64? {
    let cost = UInt64(Double(bytes) / Double(bytesPerSecond) * 1e9)
    paidAt = max(paidAt, now) + cost
    return paidAt > now + BandwidthLimit.minPause ? paidAt : nil
  }
}
