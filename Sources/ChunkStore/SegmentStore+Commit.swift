import StoreModel
import Synchronization

/// A record that is to become durable.
struct Commit: Sendable {
  /// What of the record is still to be written.
  enum Body: Sendable {
    /// The header alone: a deletion.
    case none
    /// Header and payload, out of this buffer, which begins with the payload.
    case gathered(DiskBuffer)
    /// The header alone, whose place is given already and where this memory is for; the payload is
    /// written.
    case placed(DiskBuffer)
  }

  /// The record, without its place unless the body is placed.
  var header: RecordHeader
  /// What is to be written.
  var body: Body
  /// What for.
  var use: StoreState.Use

  /// Bytes that it takes of the extent of a commit's small records.
  var gatheredBytes: Int {
    if case .placed = body { 0 } else { header.recordBytes }
  }
}

/// Records that wait for their commit.
struct WaitingCommit {
  /// What a waiting one is told.
  enum Turn: Sendable {
    /// They were committed, or not.
    case done([Result<RecordHeader, StoreError>])
    /// It has to commit for all who wait.
    case lead
  }

  var commits: [Commit]
  var continuation: CheckedContinuation<Turn, Never>
}

/// Group commit: the first who comes writes and syncs at once; those that come meanwhile wait, and one
/// of them then does it for all. Alone nobody waits, and under load a sync serves as many as arrived
/// during the one before.
extension SegmentStore {
  /// Makes a record durable and takes it into account.
  ///
  /// - Returns: its header with its place, or why it is not known to be durable.
  func commit(_ commit: Commit) async -> Result<RecordHeader, StoreError> {
    await self.commit([commit])[0]
  }

  /// Makes records durable together, and packed; at most `maxTogetherBytes` of them.
  ///
  /// - Returns: for each, in order, what `commit` of one returns.
  func commit(_ commits: [Commit]) async -> [Result<RecordHeader, StoreError>] {
    let turn = await withCheckedContinuation { continuation in
      let isLeader = shell.withLock { shell in
        if !shell.isCommitting {
          shell.isCommitting = true
          return true
        }
        shell.queue.append(WaitingCommit(commits: commits, continuation: continuation))
        return false
      }
      if isLeader { continuation.resume(returning: .lead) }
    }
    switch turn {
    case .done(let results): return results
    case .lead: return await lead(commits)
    }
  }

  /// Bytes of the small records that one caller commits together.
  static let maxTogetherBytes = maxBatchBytes / 4

  /// Commits records together with those that wait, and passes the lead on.
  private func lead(_ own: [Commit]) async -> [Result<RecordHeader, StoreError>] {
    let (batch, kills) = shell.withLock { $0.takeBatch(with: own) }
    let results = await write(own + batch.flatMap(\.commits), kills: kills)
    var next = own.count
    for waiting in batch {
      let end = next + waiting.commits.count
      waiting.continuation.resume(returning: .done(Array(results[next..<end])))
      next = end
    }
    let follower = shell.withLock { shell -> WaitingCommit? in
      guard !shell.queue.isEmpty else {
        shell.isCommitting = false
        return nil
      }
      return shell.queue.removeFirst()
    }
    follower?.continuation.resume(returning: .lead)
    return Array(results[..<own.count])
  }

  /// Writes and syncs records, and ends those that must be ended together with them; results come in the
  /// commits' order.
  private func write(
    _ commits: [Commit], kills: [RecordKill]
  ) async -> [Result<RecordHeader, StoreError>] {
    var batch = CommitBatch(commits: commits, kills: kills)
    var extent: RecordPlace?
    if batch.gatheredBytes > 0 {
      do throws(StoreError) {
        extent = try await allot(&batch)
      } catch {
        batch.refuseGathered(error)
      }
    }
    let (number, durable) = shell.withLock { shell in
      batch.refuseFailed(shell.state.segments)
      batch.refuseUnkilled()
      batch.takeKeys(of: shell.state.segments, extent: extent)
      return shell.state.beginBatch()
    }
    let writes = batch.lay(
      at: extent, in: batchBuffer, batch: number, durableBatch: durable)
    for (segment, list) in writes {
      do throws(StoreError) {
        guard let writer = shell.withLock({ $0.state.segments[segment]?.writer }) else {
          throw StoreError(.internal, "segment \(segment) can't be written to")
        }
        try await writer.writeAndSync(list)
      } catch {
        fail(segment, error)
        batch.fail(segment, error)
      }
    }
    batch.failUnkilled()
    return shell.withLock { shell in
      if let extent { shell.state.endExtent(extent) }
      batch.settle(&shell.state)
      shell.state.endBatch(number)
      return batch.results
    }
  }

  /// The extent for a batch's small records; on a full disk the less urgent ones are refused.
  private func allot(_ batch: inout CommitBatch) async throws(StoreError) -> RecordPlace? {
    while let use = batch.use {
      do throws(StoreError) {
        return try await extent(
          bytes: batch.gatheredBytes, records: batch.gatheredRecords, use: use)
      } catch {
        guard error.code == .resourceExhausted else { throw error }
        batch.refuseGathered(error, use: use)
      }
    }
    return nil
  }
}

extension SegmentStore.Shell {
  /// Takes those out of the queue that fit into one commit with `own`, and what has to be ended
  /// together with them.
  fileprivate mutating func takeBatch(
    with own: [Commit]
  ) -> (batch: [WaitingCommit], kills: [RecordKill]) {
    var kills = own.flatMap { state.ghostKills(of: $0.header.record.chunk.id) }
    var bytes = own.reduce(0) { $0 + $1.gatheredBytes }
    var count = 0
    for waiting in queue {
      let ghosts = waiting.commits.flatMap { state.ghostKills(of: $0.header.record.chunk.id) }
      bytes += waiting.commits.reduce(0) { $0 + $1.gatheredBytes }
      let killBytes = (kills.count + ghosts.count) * RecordHeader.deletionBytes
      guard DiskBuffer.roundUp(bytes + killBytes) <= SegmentStore.maxBatchBytes else { break }
      kills += ghosts
      count += 1
    }
    let batch = Array(queue[..<count])
    queue.removeFirst(count)
    return (batch, kills)
  }
}

/// Records that are committed together: what of them goes where, and how each fares.
struct CommitBatch {
  private struct Item {
    var commit: Commit
    var error: StoreError?
  }

  private var items: [Item]
  /// How many of the items are somebody's; the others end ghosts.
  private let own: Int

  init(commits: [Commit], kills: [RecordKill]) {
    own = commits.count
    items = commits.map { Item(commit: $0) }
    var bytes = commits.reduce(0) { $0 + $1.gatheredBytes }
    for kill in kills {
      bytes += RecordHeader.deletionBytes
      let fits = DiskBuffer.roundUp(bytes) <= SegmentStore.maxBatchBytes
      items.append(
        Item(
          commit: Commit(header: .deletion(kill), body: .none, use: .upkeep),
          error: fits
            ? nil : StoreError(.internal, "writing chunk \(kill.id) has failed too often")))
    }
  }

  /// Bytes of an extent for all records that have no place yet.
  var gatheredBytes: Int {
    DiskBuffer.roundUp(
      items.reduce(0) { $1.error == nil ? $0 + $1.commit.gatheredBytes : $0 })
  }

  /// How many records have no place yet.
  var gatheredRecords: Int {
    items.count { $0.error == nil && $0.commit.gatheredBytes > 0 }
  }

  /// What the least urgent of the records without a place is for; nil when there is none.
  var use: StoreState.Use? {
    StoreState.Use.allCases.first { use in
      items.contains {
        $0.error == nil && $0.commit.gatheredBytes > 0 && $0.commit.use == use
      }
    }
  }

  /// How each of the records that somebody waits for fared.
  var results: [Result<RecordHeader, StoreError>] {
    items[..<own].map { item in
      item.error.map { .failure($0) } ?? .success(item.commit.header)
    }
  }

  /// There is no room for the records without a place, or for those of one use.
  mutating func refuseGathered(_ error: StoreError, use: StoreState.Use? = nil) {
    for place in items.indices
    where items[place].commit.gatheredBytes > 0
      && (use == nil || items[place].commit.use == use)
    {
      items[place].error = items[place].error ?? error
      items[place].commit.header.place = RecordPlace(segment: 0, unit: 0)
    }
  }

  /// Payloads in segments that failed meanwhile may be lost.
  mutating func refuseFailed(_ segments: [UInt32: Segment]) {
    for place in items.indices {
      guard case .placed = items[place].commit.body else { continue }
      let number = items[place].commit.header.place.segment
      guard segments[number]?.phase == .failed || segments[number] == nil else { continue }
      items[place].error = StoreError(
        .internal, "segment \(number) failed while a chunk was written to it")
      items[place].commit.header.place = RecordPlace(segment: 0, unit: 0)
    }
  }

  /// A record is not written where what must be ended together with it won't be.
  mutating func refuseUnkilled() {
    for place in unkilled {
      items[place.item].error = place.error
      items[place.item].commit.header.place = RecordPlace(segment: 0, unit: 0)
    }
  }

  /// A record that was written does not count where what must be ended together with it may not have been.
  mutating func failUnkilled() {
    for place in unkilled { items[place.item].error = place.error }
  }

  /// Records that are well, but not what has to be ended together with them.
  private var unkilled: [(item: Int, error: StoreError)] {
    var errors: [ChunkID: StoreError] = [:]
    for kill in items[own...] {
      if let error = kill.error { errors[kill.commit.header.record.chunk.id] = error }
    }
    guard !errors.isEmpty else { return [] }
    return items.indices.prefix(own).compactMap { place in
      guard items[place].error == nil else { return nil }
      return errors[items[place].commit.header.record.chunk.id].map { (place, $0) }
    }
  }

  /// Gives the records the keys of the segments that they go to.
  mutating func takeKeys(of segments: [UInt32: Segment], extent: RecordPlace?) {
    for place in items.indices {
      let commit = items[place].commit
      let number = commit.gatheredBytes > 0 ? extent?.segment : commit.header.place.segment
      items[place].commit.header.key = number.flatMap { segments[$0]?.key } ?? 0
    }
  }

  /// Gives the records their places and writes them into memory.
  ///
  /// - Returns: what to write to which segment, in the segments' order.
  mutating func lay(
    at extent: RecordPlace?, in buffer: DiskBuffer, batch: UInt64, durableBatch: UInt64
  ) -> [(segment: UInt32, writes: [DiskWrite])] {
    var writes: [UInt32: [DiskWrite]] = [:]
    var end = 0
    for place in items.indices where items[place].error == nil {
      items[place].commit.header.batch = batch
      items[place].commit.header.durableBatch = durableBatch
      switch items[place].commit.body {
      case .placed(let memory):
        let header = items[place].commit.header
        header.encode(into: memory.bytes)
        writes[header.place.segment, default: []].append(
          DiskWrite(memory, 0..<header.byteCount, at: header.place.offset))
      case .none, .gathered:
        guard let extent else { continue }
        items[place].commit.header.place = RecordPlace(
          segment: extent.segment, unit: extent.unit + UInt32(end / RecordPlace.unitBytes))
        CommitBatch.lay(items[place].commit, at: end, in: buffer)
        end += items[place].commit.gatheredBytes
      }
    }
    if let extent, end > 0 {
      buffer.zero(end..<DiskBuffer.roundUp(end))
      writes[extent.segment, default: []].append(
        DiskWrite(buffer, 0..<DiskBuffer.roundUp(end), at: extent.offset))
    }
    return writes.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Writes a small record into memory.
  private static func lay(_ commit: Commit, at start: Int, in buffer: DiskBuffer) {
    let header = commit.header
    let target = UnsafeMutableRawBufferPointer(
      rebasing: buffer.bytes[start..<start + header.recordBytes])
    header.encode(into: target)
    var end = header.byteCount
    if case .gathered(let payload) = commit.body {
      let length = Int(header.record.chunk.length)
      UnsafeMutableRawBufferPointer(rebasing: target[end..<end + length]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: payload.bytes[..<length]))
      end += length
    }
    UnsafeMutableRawBufferPointer(rebasing: target[end...]).initializeMemory(
      as: UInt8.self, repeating: 0)
  }

  /// Of what was to be written to a segment nothing is known.
  mutating func fail(_ segment: UInt32, _ error: StoreError) {
    for place in items.indices
    where items[place].error == nil && items[place].commit.header.place.segment == segment {
      items[place].error = StoreError(
        error.code == .resourceExhausted ? .resourceExhausted : .internal,
        "chunk \(items[place].commit.header.record.chunk.id) could not be made durable: "
          + error.message)
    }
  }

  /// Takes how each fared into account.
  func settle(_ state: inout StoreState) {
    for item in items {
      if item.error == nil {
        state.succeed(item.commit.header)
      } else if item.commit.header.place.segment != 0 {
        state.lose(item.commit.header)
      }
    }
  }
}
