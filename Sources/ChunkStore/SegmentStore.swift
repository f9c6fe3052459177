package import StoreModel
import Synchronization

/// A node's chunks on one disk: append-only segments of self-describing records.
///
/// Every change is one record at the end of the active segment, and nothing is acknowledged before its
/// record was synced; all who wait share one sync. What memory holds is a cache of the records.
/// `FORMAT.md` says what stands in a segment and how it is read; `StoreState` decides, this reads and
/// writes.
///
/// Memory: 28 bytes an index entry, 35 to 42 a chunk with the table's free part, and the same for a
/// deletion that is remembered, of which there are a million at most; 24 to 32 a record of the active
/// segment, of which there are a million at most, too; 64 MiB for chunks on their way in, for which writers
/// wait; 1 MiB for the commit under way; 16 MiB for listing.
///
/// Each change goes through one door: the lock, `StoreState`, what is to be done, the lock's end, doing
/// it. The parts are in files of their own: opening (`SegmentStore+Open`), group commit (`+Commit`),
/// segments' lives (`+Segments`), compaction (`+Compaction`), verification (`+Scrub`).
package final class SegmentStore: ChunkStore {
  /// How a store is set up.
  package struct Configuration: Sendable {
    /// The most memory in which chunks are gathered on their way to the disk, in bytes.
    package var stagingBytes = 64 << 20
    /// Bytes of a segment, of which the disk must have room for some; nil: as the disk's size suggests.
    package var segmentBytes: Int?
    /// The most bytes that are set aside for deleting and compacting on a full disk.
    package var maxReserveBytes = 64 << 20
    /// The most bytes a second that compaction copies; low, so that it doesn't stand in anybody's way.
    package var compactionBytesPerSecond = 64 << 20
    /// Bytes of small records that compaction moves together.
    package var compactionRunBytes = 256 << 10
    /// In which time everything is verified once.
    package var scrubDeadline: Duration = .seconds(14 * 24 * 3_600)

    /// The defaults.
    package init() {}
  }

  /// What only one may change at a time.
  enum Turn: Sendable, Hashable {
    /// A chunk: a put, a deletion or a move.
    case chunk(ChunkID)
    /// The list of segments.
    case list
    /// What is sealed, compacted and removed.
    case upkeep
  }

  /// Everything behind the lock.
  struct Shell {
    var state: StoreState
    var directory: DataDirectory
    /// Records that wait for the next commit.
    var queue: [WaitingCommit] = []
    var isCommitting = false
    /// Who waits for a new segment, while one is made.
    var rolling: [CheckedContinuation<Void, Never>]?
    /// Segments that are open for reading, the longest first.
    var openReaders: [UInt32] = []
    /// What was found wrong since somebody asked.
    var problems: [ChunkStoreProblem] = []
    var listing: ChunkListing?
    /// Seconds since 1970 at which each segment was last verified, whatever was found.
    var verifiedAt: [UInt32: Int64] = [:]
    /// Segments whose checkpoints were found damaged since.
    var spoiled: Set<UInt32> = []
    /// The list of segments as it is on disk, or is to be when it is written next.
    var listed = SegmentList()
    /// When to look again at what only time changes, in seconds since 1970.
    var nextTick: Int64 = .min
    var isClosed = false
    /// Writes, syncs and new segments that failed, other than for lack of room.
    var failures = WriteFailures()
  }

  package let node: NodeID
  /// The disk's own number.
  let diskNumber: UInt64
  /// What the keys of new segments follow from; drawn when the store opens, and known to nobody else.
  let keySeed: UInt64
  let disk: any Disk
  let clock: any ChunkStoreClock
  let configuration: Configuration
  let staging: StagingBuffers
  let shell: Mutex<Shell>
  let turns = Turns<Turn>()
  /// The memory in which the commit under way gathers small records.
  let batchBuffer = DiskBuffer(capacity: SegmentStore.maxBatchBytes)
  /// Rings when there is upkeep to do.
  let upkeepBell = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  private let lock: any DiskLock

  /// Bytes of the small records that one commit takes.
  static let maxBatchBytes = 1 << 20
  /// How often a deletion has room made for it before it gives up.
  static let maxRounds = 100
  /// Segments that are kept open for reading.
  static let maxOpenReaders = 256
  /// Problems that are kept until somebody asks.
  static let maxProblems = 1_000

  init(
    disk: any Disk, lock: any DiskLock, clock: any ChunkStoreClock, configuration: Configuration,
    keySeed: UInt64, shell: Shell
  ) {
    self.disk = disk
    self.lock = lock
    self.clock = clock
    self.configuration = configuration
    self.keySeed = keySeed
    node = shell.directory.node
    diskNumber = shell.directory.disk
    staging = StagingBuffers(
      budget: max(configuration.stagingBytes, 2 * SegmentPut.bufferBytes),
      spareBytes: SegmentPut.bufferBytes, maxSpares: 16)
    self.shell = Mutex(shell)
  }

  package var cluster: String {
    shell.withLock { $0.directory.cluster }
  }

  package func join(cluster: String) async throws {
    try DataDirectory.check(cluster: cluster)
    var joined = shell.withLock { $0.directory }
    if joined.cluster == cluster { return }
    guard joined.cluster.isEmpty else {
      throw StoreError(
        .preconditionFailed,
        "this data directory belongs to cluster '\(joined.cluster)', not to '\(cluster)'")
    }
    joined.cluster = cluster
    try await joined.write(on: disk)
    shell.withLock { [joined] in $0.directory = joined }
  }

  package func beginPut(_ chunk: NewChunk) async throws -> any ChunkPut {
    guard (1...ChunkLimits.maxBytes).contains(chunk.length) else {
      throw StoreError(
        .invalidArgument,
        "a chunk has 1 to \(ChunkLimits.maxBytes) bytes, chunk \(chunk.id) would have \(chunk.length)"
      )
    }
    let known = shell.withLock { $0.state.index[chunk.id] }
    if let known, known.length != chunk.length { throw StoreError.conflict(chunk.id) }
    return SegmentPut(store: self, chunk: chunk)
  }

  package func openChunk(_ id: ChunkID) async throws -> any ChunkReader {
    try await openRecord(id)
  }

  package func stat(_ id: ChunkID) async throws -> ChunkRecord {
    let reader = try await openRecord(id, headOnly: true)
    await reader.close()
    return reader.record
  }

  package func delete(_ id: ChunkID) async throws {
    var rounds = 0
    while true {
      do throws(StoreError) {
        try await end(id)
        break
      } catch {
        // Even a deletion takes room at first: make some.
        rounds += 1
        guard error.code == .resourceExhausted, rounds < SegmentStore.maxRounds,
          await upkeep(isUrgent: true)
        else { throw error }
      }
      try Task.checkCancellation()
    }
    upkeepBell.continuation.yield()
  }

  /// Ends a chunk's record.
  private func end(_ id: ChunkID) async throws(StoreError) {
    await turns.take(.chunk(id))
    defer { turns.end(.chunk(id)) }
    let known = shell.withLock { $0.state.index[id] }
    guard let entry = known else { throw absence(of: id) }
    let header = RecordHeader.deletion(
      RecordKill(id: id, place: entry.place, deletedAt: max(clock.wallSeconds, 1)))
    _ = try await commit(Commit(header: header, body: .none, use: .deletion)).get()
    await punch(entry.place.segment)
  }

  package func list(after id: ChunkID?, limit: Int) async throws -> ChunkPage {
    precondition(limit > 0, "a page has room for one chunk at least")
    var page = await self.page(after: id, limit: limit)
    let hidden = hiddenChunks
    guard page.next == nil, let hidden else { return page }
    guard let last = page.records.last else { throw hidden }
    page.next = last.chunk.id
    return page
  }

  /// A page of the chunks that are known.
  func page(after id: ChunkID?, limit: Int) async -> ChunkPage {
    let (ids, isLast) = ids(after: id, limit: limit)
    var page = ChunkPage(records: [], next: isLast ? nil : ids.last)
    page.records.reserveCapacity(ids.count)
    for id in ids {
      do {
        page.records.append(try await stat(id))
      } catch {
        // What is damaged is known as such.
        let code = (error as? StoreError)?.code ?? .internal
        if ![.notFound, .deleted, .dataLoss].contains(code) { page.unread.append(id) }
      }
    }
    return page
  }

  package func statistics() async throws -> NodeStatistics {
    statistics(of: try await disk.space())
  }

  /// What the store has, on a disk with so much room.
  func statistics(of space: DiskSpace) -> NodeStatistics {
    shell.withLock { shell in
      let room =
        shell.state.active.flatMap { shell.state.segments[$0] }
        .map { $0.isReserve ? 0 : max($0.reserved - $0.end, 0) } ?? 0
      // What new chunks leave is none of theirs.
      let kept =
        space.capacityBytes / StoreState.headroomShare
        + UInt64(shell.state.limits.reserveBytes)
      return NodeStatistics(
        capacityBytes: space.capacityBytes,
        freeBytes: space.freeBytes - min(kept, space.freeBytes) + UInt64(room),
        usedBytes: shell.state.index.bytes, chunks: UInt64(shell.state.index.count))
    }
  }

  package var isShortOfMemory: Bool { staging.isShort }

  package func takeProblems() async -> [ChunkStoreProblem] {
    shell.withLock { shell in
      defer { shell.problems = [] }
      return shell.problems
    }
  }

  package func chunksAtRisk() async -> [ChunkID] {
    let parts = shell.withLock { $0.state.index.partCount }
    var ids: [ChunkID] = []
    for part in 0..<parts {
      shell.withLock { shell in
        let segments = shell.state.segments
        shell.state.index.forEach(inPart: part) { id, entry in
          if entry.isDamaged || segments[entry.place.segment]?.phase == .failed { ids.append(id) }
        }
      }
    }
    return ids.sorted()
  }

  package func damagedChunks() async -> [ChunkID] {
    shell.withLock(\.state.damaged).sorted()
  }

  package func close() async {
    let isFirst = shell.withLock { shell in
      defer { shell.isClosed = true }
      return !shell.isClosed
    }
    guard isFirst else { return }
    upkeepBell.continuation.finish()
    shell.withLock { $0.state.retire() }
    // What can't be sealed now is read when the store opens next.
    while let number = shell.withLock({ $0.state.segmentToSeal }) { await trySealing(number) }
    await lock.release()
  }

  /// Ids for a page, without damaged chunks.
  private func ids(after id: ChunkID?, limit: Int) -> (ids: [ChunkID], isLast: Bool) {
    while true {
      let listing = listing(after: id)
      let (ids, isLast) = listing.page(after: id, limit: limit)
      let whole = shell.withLock { shell in
        ids.filter { shell.state.index[$0].map { !$0.isDamaged } ?? false }
      }
      // A page of which all are gone says nothing about the next one.
      if !whole.isEmpty || isLast || ids.isEmpty { return (whole, isLast || ids.isEmpty) }
      return (Array(ids.suffix(1)), isLast)
    }
  }

  /// What to tell whoever asks for a chunk that isn't known.
  func absence(of id: ChunkID) -> StoreError {
    let isDeleted = shell.withLock { $0.state.isDeleted(id) }
    guard !isDeleted, let hidden = hiddenChunks else { return .noChunk(id, isDeleted: isDeleted) }
    return StoreError(hidden.code, "whether chunk \(id) is here is not known: \(hidden.message)")
  }

  /// Why there may be chunks here that nobody knows of; nil: there are none.
  var hiddenChunks: StoreError? {
    guard let number = shell.withLock({ $0.state.unread.min() }) else { return nil }
    return StoreError(.internal, "'\(StorePaths.segment(number))' could not be read")
  }

  /// A pass over the index that has what comes after an id: the last one, or a new one.
  func listing(after id: ChunkID?) -> ChunkListing {
    let now = clock.nanoseconds
    let (last, commit, parts) = shell.withLock {
      ($0.listing, $0.state.durableBatch, $0.state.index.partCount)
    }
    if let last, last.covers(after: id), last.isFresh(at: now, commit: commit) { return last }
    var listing = ChunkListing(after: id, at: now, commit: commit)
    for part in 0..<parts {
      shell.withLock { shell in
        shell.state.index.forEach(inPart: part) { id, _ in listing.add(id) }
      }
    }
    listing.finish()
    shell.withLock { [listing] in $0.listing = listing }
    return listing
  }

  /// Notes a problem, unless there are very many.
  func report(_ path: String, _ message: String) {
    shell.withLock { $0.report(path, message) }
  }
}

extension SegmentStore.Shell {
  /// Notes a problem, unless there are very many.
  mutating func report(_ path: String, _ message: String) {
    guard problems.count < SegmentStore.maxProblems else { return }
    problems.append(ChunkStoreProblem(path: path, message: message))
  }

  /// Once a minute, for there may be many segments: forgets deletions that are old enough, has an active segment
  /// sealed that has been one for so many seconds, and has all be tried again that failed.
  ///
  /// - Returns: whether a minute was over.
  mutating func tick(now: Int64, sealingAfter seconds: Int64) -> Bool {
    guard now >= nextTick || now < nextTick - 60 else { return false }
    nextTick = now + 60
    state.expireDeletions(now: now)
    state.retire(activeSince: now - seconds, now: now)
    state.tryAll()
    return true
  }
}

extension StoreError {
  /// The chunk is not here, and was perhaps deleted here.
  static func noChunk(_ id: ChunkID, isDeleted: Bool) -> StoreError {
    isDeleted
      ? StoreError(.deleted, "chunk \(id) was deleted here")
      : StoreError(.notFound, "chunk \(id) is not here")
  }

  /// The chunk is here, but damaged.
  static func damaged(_ id: ChunkID, _ what: String) -> StoreError {
    StoreError(.dataLoss, "chunk \(id) is damaged here: \(what)")
  }

  /// The chunk is here with other content.
  static func conflict(_ id: ChunkID) -> StoreError {
    StoreError(.alreadyExists, "chunk \(id) is here already with other content")
  }
}
