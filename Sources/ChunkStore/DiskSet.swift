package import StoreModel
import Synchronization

/// A node's chunks on several disks, a `SegmentStore` on each.
///
/// A new chunk goes to one of two disks that its id suggests, to the one with more room, so that disks of
/// any size fill evenly. A disk that fails gets no new chunks, and what can still be read of it is moved
/// to the others while they serve.
package final class DiskSet: ChunkStore {
  /// A disk with the name that people know it by.
  package struct Member: Sendable {
    /// Its path, for messages.
    package var path: String
    /// The data directory.
    package var disk: any Disk

    /// Describes a disk.
    package init(path: String, disk: any Disk) {
      self.path = path
      self.disk = disk
    }
  }

  /// A disk whose store is open.
  private struct Open: Sendable {
    var path: String
    var store: SegmentStore
  }

  package let node: NodeID
  private let disks: [Open]
  private let clock: any ChunkStoreClock
  /// What was found when the disks were opened.
  private let problems: Mutex<[ChunkStoreProblem]>
  /// Bytes that may still be stored on each disk, as far as known.
  private let room: Mutex<[UInt64]>

  /// How often it looks for a disk that fails.
  private static let drainPause: UInt64 = 10_000_000_000

  private init(
    node: NodeID, disks: [Open], clock: any ChunkStoreClock, problems: [ChunkStoreProblem]
  ) {
    self.node = node
    self.disks = disks
    self.clock = clock
    self.problems = Mutex(problems)
    room = Mutex(Array(repeating: 0, count: disks.count))
  }

  /// Opens the stores on disks; makes them on those that are empty.
  ///
  /// - Parameters:
  ///   - members: the data directories, at least one.
  ///   - clock: the time.
  ///   - configuration: how each is set up.
  ///   - drawNode: asked for the node's number when all are empty.
  ///   - random: gives 64 random bits.
  /// - Returns: the node's chunks; its problems say which disks are not used.
  /// - Throws: `preconditionFailed` when one is in use, foreign, of another format, another node's or
  ///   there twice; `dataLoss` when a format file is damaged; `internal` when none can be read.
  package static func open(
    _ members: [Member], clock: any ChunkStoreClock,
    configuration: SegmentStore.Configuration = SegmentStore.Configuration(),
    drawNode: () -> NodeID, random: () -> UInt64
  ) async throws(StoreError) -> DiskSet {
    precondition(!members.isEmpty, "a node without a disk")
    let known = try await agree(members)
    let node = known?.node ?? drawNode()
    var disks: [Open] = []
    var problems: [ChunkStoreProblem] = []
    do throws(StoreError) {
      for member in members {
        do throws(StoreError) {
          let store = try await SegmentStore.open(
            on: member.disk, clock: clock, configuration: configuration, drawNode: { node },
            random: random)
          disks.append(Open(path: member.path, store: store))
        } catch {
          // One that can't be read doesn't keep the others from serving; one that is not ours does.
          guard error.code == .internal || error.code == .resourceExhausted, members.count > 1
          else { throw StoreError(error.code, "'\(member.path)': \(error.message)") }
          problems.append(
            ChunkStoreProblem(path: member.path, message: "not used: \(error.message)"))
        }
      }
      guard !disks.isEmpty else {
        throw StoreError(.internal, "no data directory can be used: \(problems[0].message)")
      }
      let set = DiskSet(node: node, disks: disks, clock: clock, problems: problems)
      if let cluster = known?.cluster, !cluster.isEmpty { try await set.joinAll(cluster) }
      _ = try await set.statistics()
      return set
    } catch {
      for disk in disks { await disk.store.close() }
      throw error
    }
  }

  /// Whose the directories are that are not empty.
  ///
  /// - Throws: `preconditionFailed` when they are not all of one node and cluster, and different ones.
  private static func agree(_ members: [Member]) async throws(StoreError) -> DataDirectory? {
    var first: (path: String, directory: DataDirectory)?
    var disks: [UInt64: String] = [:]
    for member in members {
      let directory: DataDirectory?
      do throws(StoreError) {
        directory = try await DataDirectory.read(on: member.disk)
      } catch {
        guard error.code == .internal else {
          throw StoreError(error.code, "'\(member.path)': \(error.message)")
        }
        continue
      }
      guard let directory else { continue }
      if let twin = disks.updateValue(member.path, forKey: directory.disk) {
        throw StoreError(
          .preconditionFailed, "'\(member.path)' is a copy of '\(twin)': one of them must go")
      }
      if let first, first.directory.node != directory.node {
        throw StoreError(
          .preconditionFailed,
          "'\(member.path)' belongs to node \(directory.node), '\(first.path)' to node "
            + "\(first.directory.node): a node's directories are all its own")
      }
      if let first, !first.directory.cluster.isEmpty, !directory.cluster.isEmpty,
        first.directory.cluster != directory.cluster
      {
        throw StoreError(
          .preconditionFailed,
          "'\(member.path)' belongs to cluster '\(directory.cluster)', '\(first.path)' to "
            + "'\(first.directory.cluster)'")
      }
      if first == nil || first?.directory.cluster.isEmpty == true {
        first = (member.path, directory)
      }
    }
    return first?.directory
  }

  package var cluster: String {
    disks.first { !$0.store.cluster.isEmpty }?.store.cluster ?? ""
  }

  package func join(cluster: String) async throws {
    for disk in disks { try await disk.store.join(cluster: cluster) }
  }

  private func joinAll(_ cluster: String) async throws(StoreError) {
    for disk in disks {
      do {
        try await disk.store.join(cluster: cluster)
      } catch {
        throw (error as? StoreError) ?? StoreError(.internal, "\(error)")
      }
    }
  }

  package func beginPut(_ chunk: NewChunk) async throws -> any ChunkPut {
    if let known = holders(of: chunk.id).first(where: { !$0.store.isFailing }) {
      return try await known.store.beginPut(chunk)
    }
    return try await disks[place(for: chunk)].store.beginPut(chunk)
  }

  package func openChunk(_ id: ChunkID) async throws -> any ChunkReader {
    try await first(of: id) { try await $0.openChunk(id) }
  }

  package func stat(_ id: ChunkID) async throws -> ChunkRecord {
    try await first(of: id) { try await $0.stat(id) }
  }

  package func delete(_ id: ChunkID) async throws {
    let holders = holders(of: id)
    guard !holders.isEmpty else { throw StoreError.noChunk(id, isDeleted: isDeleted(id)) }
    for holder in holders { try await holder.store.delete(id) }
  }

  package func list(after id: ChunkID?, limit: Int) async throws -> ChunkPage {
    var records: [ChunkRecord] = []
    // What stands behind the end of a page that is not its disk's last is not known yet.
    var end: ChunkID?
    for disk in disks {
      let page = try await disk.store.list(after: id, limit: limit)
      records += page.records
      if let next = page.next { end = min(end ?? next, next) }
    }
    records.sort { $0.chunk.id < $1.chunk.id }
    if let end { records.removeAll { $0.chunk.id > end } }
    var merged: [ChunkRecord] = []
    for record in records where merged.last?.chunk.id != record.chunk.id { merged.append(record) }
    guard merged.count > limit else { return ChunkPage(records: merged, next: end) }
    return ChunkPage(records: Array(merged.prefix(limit)), next: merged[limit - 1].chunk.id)
  }

  package func statistics() async throws(StoreError) -> NodeStatistics {
    var sum = NodeStatistics()
    for (place, disk) in disks.enumerated() {
      let one: NodeStatistics
      do {
        one = try await disk.store.statistics()
      } catch {
        room.withLock { $0[place] = 0 }
        if disks.count > 1 { continue }
        throw (error as? StoreError) ?? StoreError(.internal, "\(error)")
      }
      let isUsable = !disk.store.isFailing || disks.count == 1
      room.withLock { $0[place] = isUsable ? one.freeBytes : 0 }
      sum.capacityBytes += one.capacityBytes
      sum.freeBytes += isUsable ? one.freeBytes : 0
      sum.usedBytes += one.usedBytes
      sum.chunks += one.chunks
    }
    return sum
  }

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

  package func damagedChunks(limit: Int) async -> [ChunkID] {
    var ids: [ChunkID] = []
    for disk in disks where ids.count < limit {
      // One that another disk has whole needs nobody's help.
      ids += await disk.store.damagedChunks(limit: limit - ids.count)
        .filter { id in !disks.contains { $0.store.holdsWhole(id) } }
    }
    return ids
  }

  package func run() async {
    await withTaskGroup(of: Void.self) { group in
      for disk in disks { group.addTask { await disk.store.run() } }
      if disks.count > 1 { group.addTask { await self.drainForever() } }
    }
  }

  package func close() async {
    for disk in disks { await disk.store.close() }
  }

  // MARK: Places

  /// The disks that have a chunk.
  private func holders(of id: ChunkID) -> [Open] {
    disks.filter { $0.store.holds(id) }
  }

  /// Whether a disk remembers that a chunk was deleted.
  private func isDeleted(_ id: ChunkID) -> Bool {
    disks.contains { $0.store.remembersDeletion(of: id) }
  }

  /// Asks the disks that have a chunk, until one has it whole.
  private func first<Result>(
    of id: ChunkID, _ ask: (SegmentStore) async throws -> Result
  ) async throws -> Result {
    var failure: any Error = StoreError.noChunk(id, isDeleted: isDeleted(id))
    for holder in holders(of: id) {
      do {
        return try await ask(holder.store)
      } catch {
        failure = error
      }
    }
    throw failure
  }

  /// The disk for a new chunk: of two that its id suggests, the one with more room.
  private func place(for chunk: NewChunk) -> Int {
    let id = chunk.id
    let bits = ChunkIndex.mix(id.upload ^ UInt64(id.index) << 32 ^ UInt64(id.group))
    return room.withLock { room in
      let usable = room.indices.filter { room[$0] > UInt64(chunk.length) }
      // Without any, the first one says that it is full.
      guard !usable.isEmpty else { return 0 }
      let one = usable[Int(bits % UInt64(usable.count))]
      let other = usable[Int((bits >> 32) % UInt64(usable.count))]
      let place = room[one] >= room[other] ? one : other
      room[place] -= UInt64(chunk.length)
      return place
    }
  }

  // MARK: Draining

  /// Moves chunks away from disks that fail, until the task is cancelled.
  private func drainForever() async {
    while !Task.isCancelled {
      await drain()
      guard
        (try? await clock.sleep(until: clock.nanoseconds + DiskSet.drainPause)) != nil
      else { return }
    }
  }

  /// Moves chunks away from the disks that fail.
  func drain() async {
    for disk in disks where disk.store.isFailing { await drain(disk.store) }
  }

  /// Stores every chunk that is only on this disk, and can be read, on another one.
  private func drain(_ store: SegmentStore) async {
    var after: ChunkID?
    repeat {
      guard let page = try? await store.list(after: after, limit: 500) else { return }
      for record in page.records where !Task.isCancelled {
        let isElsewhere = holders(of: record.chunk.id).contains { !$0.store.isFailing }
        guard !isElsewhere else { continue }
        // What can't be moved stays where it is, and is among the chunks at risk.
        try? await move(record, from: store)
      }
      after = page.next
    } while after != nil && !Task.isCancelled
  }

  private func move(_ record: ChunkRecord, from store: SegmentStore) async throws {
    let target = disks[place(for: record.chunk)].store
    guard !target.isFailing else { return }
    try await store.withChunk(record.chunk.id) { reader in
      try await target.put(record.chunk) { put in
        let blocks = (Int(record.chunk.length) + 65_535) / 65_536
        try await reader.read(blocks: 0..<blocks, pieceBlocks: 16, ahead: 0) { piece in
          try await put.append(piece.bytes)
        }
        _ = try await put.finish(checksum: record.checksum)
      }
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
    shell.withLock { $0.state.deleted[id] != nil }
  }

  /// Whether so many writes failed lately that the disk is taken for a failing one.
  var isFailing: Bool {
    shell.withLock { $0.failures.areMany(at: clock.nanoseconds) }
  }
}
