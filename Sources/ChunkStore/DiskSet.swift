package import StoreModel
import Synchronization

/// A node's chunks on several disks, a `SegmentStore` on each.
///
/// A new chunk goes to one of two disks that its id suggests, to the one with more room, so that disks of
/// any size fill evenly. A disk that fails gets no new chunks, and what can still be read of it is moved
/// to the others while they serve. One that doesn't answer gets none, either, until it does.
package final class DiskSet: ChunkStore {
  /// A disk with the name that people know it by.
  package struct Member: Sendable {
    /// Its path, for messages.
    package var path: String
    /// The data directory, or why there is no getting at it.
    package var disk: Result<any Disk, StoreError>

    /// Describes a disk.
    package init(path: String, disk: any Disk) {
      self.path = path
      self.disk = .success(WatchedDisk(base: disk))
    }

    /// Describes one whose directory can't even be looked into.
    package init(path: String, failure: StoreError) {
      self.path = path
      disk = .failure(failure)
    }
  }

  /// A disk whose store is open.
  struct Open: Sendable {
    var path: String
    var store: SegmentStore
  }

  /// What only one may change at a time.
  enum Turn: Sendable, Hashable {
    /// A chunk, on whichever disk it is.
    case chunk(ChunkID)
    /// A disk's list of deletions. Whoever has this turn takes no other.
    case deletions(Int)
  }

  package let node: NodeID
  let disks: [Open]
  /// Paths of the disks that could not be opened.
  private let unused: [String]
  let clock: any ChunkStoreClock
  /// What was found when the disks were opened.
  private let problems: Mutex<[ChunkStoreProblem]>
  /// Bytes that may still be stored on each disk, as far as known.
  let room: Mutex<[UInt64]>
  /// What each disk said last of its room.
  let answers: Mutex<Answers>
  let turns = Turns<Turn>()
  /// What disks can't say themselves of their chunks' deletions.
  let deletions = Mutex(DeletionsElsewhere())
  /// How far the disks are with the list of these.
  let lists: Mutex<Lists>

  init(
    node: NodeID, disks: [Open], unused: [String], clock: any ChunkStoreClock,
    problems: [ChunkStoreProblem]
  ) {
    self.node = node
    self.disks = disks
    self.unused = unused
    self.clock = clock
    self.problems = Mutex(problems)
    room = Mutex(Array(repeating: 0, count: disks.count))
    answers = Mutex(Answers(last: Array(repeating: nil, count: disks.count)))
    lists = Mutex(Lists(disks: disks.count))
  }

  package var cluster: String {
    disks.first { !$0.store.cluster.isEmpty }?.store.cluster ?? ""
  }

  package func join(cluster: String) async throws {
    var failure: (any Error)?
    for disk in disks {
      do {
        try await disk.store.join(cluster: cluster)
      } catch let error as StoreError
        where error.code == .internal || error.code == .resourceExhausted
      {
        // One that can't be written to serves what it has.
        failure = error
        disk.store.report(StorePaths.format, "cannot be written: \(error.message)")
      }
    }
    if let failure, self.cluster.isEmpty { throw failure }
  }

  package func beginPut(_ chunk: NewChunk) async throws -> any ChunkPut {
    let known = holders(of: chunk.id).first { $0.store.works }
    let target = (known ?? disks[place(for: chunk)]).store
    return DiskSetPut(
      set: self, chunk: chunk, target: target, put: try await target.beginPut(chunk))
  }

  package func openChunk(_ id: ChunkID) async throws -> any ChunkReader {
    try await first(of: id) { try await $0.openChunk(id) }
  }

  package func stat(_ id: ChunkID) async throws -> ChunkRecord {
    try await first(of: id) { try await $0.stat(id) }
  }

  package func list(after id: ChunkID?, limit: Int) async throws -> ChunkPage {
    var records: [ChunkRecord] = []
    var unread: Set<ChunkID> = []
    // What stands behind the end of a page that is not its disk's last is not known yet.
    var end: ChunkID?
    for disk in disks {
      let page = await disk.store.page(after: id, limit: limit)
      records += page.records
      unread.formUnion(page.unread)
      if let next = page.next { end = min(end ?? next, next) }
    }
    records.sort { $0.chunk.id < $1.chunk.id }
    if let end { records.removeAll { $0.chunk.id > end } }
    var merged: [ChunkRecord] = []
    for record in records where merged.last?.chunk.id != record.chunk.id { merged.append(record) }
    if merged.count > limit {
      merged.removeSubrange(limit...)
      end = merged[limit - 1].chunk.id
    }
    if end == nil, let hidden = hiddenChunks {
      guard let last = merged.last else { throw hidden }
      end = last.chunk.id
    }
    unread.subtract(merged.map(\.chunk.id))
    return ChunkPage(
      records: merged, next: end,
      unread: unread.filter { id in end.map { id <= $0 } ?? true }.sorted())
  }

  /// Notes a problem that is none of an open disk's.
  func report(_ path: String, _ message: String) {
    problems.withLock { $0.append(ChunkStoreProblem(path: path, message: message)) }
  }

  package var isShortOfMemory: Bool { disks.contains { $0.store.isShortOfMemory } }

  package func takeProblems() async -> [ChunkStoreProblem] {
    var all = problems.withLock { problems in
      defer { problems = [] }
      return problems
    }
    for disk in disks {
      all += await disk.store.takeProblems().map {
        ChunkStoreProblem(path: "\(disk.path)/\($0.path)", message: $0.message)
      }
    }
    return all
  }

  package func chunksAtRisk() async -> [ChunkID] {
    var ids: Set<ChunkID> = []
    for disk in disks { ids.formUnion(await disk.store.chunksAtRisk()) }
    return ids.sorted()
  }

  package func damagedChunks() async -> [ChunkID] {
    var ids: Set<ChunkID> = []
    for disk in disks {
      // One that another disk has whole, which will be here tomorrow, needs nobody's help.
      ids.formUnion(await disk.store.damagedChunks().filter { !isSafe($0) })
    }
    return ids.sorted()
  }

  /// Whether a disk that doesn't fail has a chunk whole.
  func isSafe(_ id: ChunkID) -> Bool {
    disks.contains { !$0.store.isFailing && $0.store.holdsWhole(id) }
  }

  package func run() async {
    await withTaskGroup(of: Void.self) { group in
      for disk in disks { group.addTask { await disk.store.run() } }
      guard disks.count > 1 else { return }
      for place in disks.indices {
        // Each on its own: what hangs keeps nothing else from going on.
        group.addTask { await self.writeListForever(on: place) }
        group.addTask { await self.again { await self.settleDeletions(on: place) } }
        group.addTask { await self.again { await self.endDamagedCopies(on: place) } }
        group.addTask { await self.drainForever(place) }
      }
      group.addTask { await self.askForRoom() }
    }
  }

  package func close() async {
    for disk in disks { await disk.store.close() }
  }

  // MARK: Places

  /// The disks that have a chunk.
  func holders(of id: ChunkID) -> [Open] {
    disks.filter { $0.store.holds(id) }
  }

  /// Whether a disk remembers that a chunk was deleted.
  func isDeleted(_ id: ChunkID) -> Bool {
    disks.contains { $0.store.remembersDeletion(of: id) }
      || deletions.withLock { $0.entries[id]?.contains { $0.kill.deletedAt > 0 } == true }
  }

  /// What to tell whoever asks for a chunk that isn't known.
  func absence(of id: ChunkID) -> StoreError {
    let isDeleted = isDeleted(id)
    // What was deleted here may stand on a disk that isn't used.
    guard let hidden = isDeleted ? unusedDisk : hiddenChunks else {
      return .noChunk(id, isDeleted: isDeleted)
    }
    return StoreError(hidden.code, "whether chunk \(id) is here is not known: \(hidden.message)")
  }

  /// Why there may be chunks here that nobody knows of; nil: there are none.
  private var hiddenChunks: StoreError? {
    if let unusedDisk { return unusedDisk }
    for disk in disks {
      if let hidden = disk.store.hiddenChunks {
        return StoreError(hidden.code, "\(hidden.message) on '\(disk.path)'")
      }
    }
    return nil
  }

  /// That a disk can't be used; nil: all can.
  var unusedDisk: StoreError? {
    unused.first.map { StoreError(.internal, "'\($0)' can't be used") }
  }

  /// Asks the disks that have a chunk, until one has it whole: those that are likely to first.
  private func first<Result>(
    of id: ChunkID, _ ask: (SegmentStore) async throws -> Result
  ) async throws -> Result {
    var failure: any Error = absence(of: id)
    let holders = holders(of: id)
    for holder in holders.count > 1 ? likeliestFirst(holders, of: id) : holders {
      do {
        return try await ask(holder.store)
      } catch {
        failure = error
      }
    }
    throw failure
  }

  /// Disks that have a chunk: those that have it whole first, and of these the ones that work.
  private func likeliestFirst(_ holders: [Open], of id: ChunkID) -> [Open] {
    let good = holders.filter { $0.store.holdsWhole(id) }
    let bad = holders.filter { !$0.store.holdsWhole(id) }
    return good.filter(\.store.works) + good.filter { !$0.store.works } + bad
  }

  /// The disk for a new chunk. Without any that may have it, the first one says that it is full.
  func place(for chunk: NewChunk) -> Int {
    place(for: chunk.id, length: chunk.length, among: targets(for: chunk.length)) ?? 0
  }

  /// The disks that a new chunk of so many bytes may go to.
  func targets(for length: UInt32) -> [Int] {
    let room = room.withLock { $0 }
    return disks.indices.filter {
      room[$0] > UInt64(length) && (disks.count == 1 || disks[$0].store.works)
    }
  }

  /// Of two of these disks that the chunk's id suggests, the one with more room; nil: there are none.
  func place(for id: ChunkID, length: UInt32, among usable: [Int]) -> Int? {
    guard !usable.isEmpty else { return nil }
    let bits = ChunkIndex.mix(id.upload ^ UInt64(id.index) << 32 ^ UInt64(id.group))
    let one = usable[Int(bits % UInt64(usable.count))]
    let other = usable[Int((bits >> 32) % UInt64(usable.count))]
    return room.withLock { room in
      let place = room[one] >= room[other] ? one : other
      room[place] -= min(UInt64(length), room[place])
      return place
    }
  }
}

extension SegmentStore {
  /// Whether a chunk is here, damaged or not.
  func holds(_ id: ChunkID) -> Bool {
    shell.withLock { $0.state.index[id] != nil }
  }

  /// Whether a chunk is here and not known to be damaged.
  func holdsWhole(_ id: ChunkID) -> Bool {
    shell.withLock { $0.state.index[id]?.isDamaged == false }
  }

  /// Whether it remembers that a chunk was deleted.
  func remembersDeletion(of id: ChunkID) -> Bool {
    shell.withLock { $0.state.isDeleted(id) }
  }

  /// Whether so many writes failed lately that the disk is taken for a failing one.
  var isFailing: Bool {
    shell.withLock { $0.failures.areMany(at: clock.nanoseconds) }
  }
}
