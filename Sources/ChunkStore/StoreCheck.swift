package import StoreModel

/// A look at everything in a data directory that no store has open. Nothing is changed.
package struct StoreCheck: Sendable {
  /// The node's own number.
  package private(set) var node: NodeID
  /// The cluster that the data belongs to; empty: none yet.
  package private(set) var cluster: String
  /// Segments that are there.
  package private(set) var segments = 0
  /// Segments that the node has verified itself, after it had filled them.
  package private(set) var verifiedSegments = 0
  /// When the one of them was that wasn't for longest, in seconds since 1970; nil: there are none.
  package private(set) var oldestVerification: Int64?
  /// Chunks that count and of which every byte fits its checksum.
  package private(set) var chunks = 0
  /// Bytes of their payloads.
  package private(set) var chunkBytes: UInt64 = 0
  /// Records that no longer count.
  package private(set) var deadRecords = 0
  /// Records that were not whole when the power went: never acknowledged.
  package private(set) var tornRecords = 0
  /// Chunks that count and are damaged, in their order.
  package private(set) var damaged: [Damage] = []
  /// Everything else that is wrong.
  package private(set) var problems: [ChunkStoreProblem] = []

  /// Whether nothing is wrong.
  package var isSound: Bool {
    damaged.isEmpty && problems.isEmpty
  }

  /// A chunk that is damaged, and where it stands.
  package struct Damage: Sendable, Hashable {
    /// The chunk.
    package var id: ChunkID
    /// The segment's file, from the data directory on.
    package var path: String
    /// Where its record begins in the file.
    package var offset: Int
  }

  /// A record that was found.
  private struct Found {
    var length: UInt32
    var place: RecordPlace
    var isDamaged: Bool
  }

  private var records: [ChunkID: [Found]] = [:]
  /// Records that are not whole: when the power went, and since.
  private var torn: [RecordPlace] = []
  private var broken: [RecordPlace] = []
  private var kills: Set<RecordPlace> = []
  /// The highest record of each chunk that a deletion ended: what stands lower is deleted as well.
  private var deletedUpTo: [ChunkID: RecordPlace] = [:]

  /// Checks a data directory.
  ///
  /// - Throws: `preconditionFailed` when it is in use, foreign, empty or of another format; `internal`
  ///   when it can't be listed.
  package static func run(on disk: any Disk) async throws(StoreError) -> StoreCheck {
    guard let directory = try await DataDirectory.read(on: disk) else {
      throw StoreError(.preconditionFailed, "it is empty: no store was ever opened there")
    }
    let lock = try await disk.lock(StorePaths.lock)
    do throws(StoreError) {
      var check = StoreCheck(node: directory.node, cluster: directory.cluster)
      try await check.read(disk, directory: directory)
      await lock.release()
      return check
    } catch {
      await lock.release()
      throw error
    }
  }

  private init(node: NodeID, cluster: String) {
    self.node = node
    self.cluster = cluster
  }

  private mutating func read(
    _ disk: any Disk, directory: DataDirectory
  ) async throws(StoreError) {
    var numbers: Set<UInt32> = []
    for name in try await names(on: disk) {
      if let number = StorePaths.segment(ofFile: name) {
        numbers.insert(number)
      } else if name.hasSuffix(StorePaths.lostSuffix) {
        problems.append(
          ChunkStoreProblem(
            path: "\(StorePaths.segments)/\(name)", message: SegmentRecovery.lostSegment))
      }
    }
    segments = numbers.count
    try await checkLists(on: disk)
    let list = await list(on: disk, of: numbers)
    for number in (list?.numbers ?? []).subtracting(numbers).sorted() {
      report(number, "is gone: the chunks in it are lost here")
    }
    let times = await ScrubLog.read(on: disk).verifiedAt.filter { numbers.contains($0.key) }.values
    verifiedSegments = times.count
    oldestVerification = times.min()
    for number in numbers.sorted() {
      do throws(StoreError) {
        try await read(
          number, isListed: list?.numbers.contains(number) ?? true,
          wasSealed: list?.isSealed(number) ?? false, on: disk, directory: directory)
      } catch {
        report(number, "cannot be read: \(error.message)")
      }
    }
    count()
  }

  /// What stands in the segments' directory, which a disk that was just added has not got yet.
  private func names(on disk: any Disk) async throws(StoreError) -> [String] {
    do throws(StoreError) {
      return try await disk.list(StorePaths.segments)
    } catch {
      guard error.code == .notFound else { throw error }
      return []
    }
  }

  /// Looks at what this disk keeps for the others.
  private mutating func checkLists(on disk: any Disk) async throws(StoreError) {
    do throws(StoreError) {
      _ = try await DeletionList.read(on: disk)
    } catch {
      problems.append(
        ChunkStoreProblem(
          path: StorePaths.deletions, message: "cannot be read: \(error.message)"))
    }
    let names = try await disk.list("")
    if names.contains(StorePaths.disks), (try? await DiskList.read(on: disk)) == nil {
      problems.append(
        ChunkStoreProblem(path: StorePaths.disks, message: "is damaged or can't be read"))
    }
  }

  /// The list of segments; nil where there is none, or it is damaged or can't be read.
  private mutating func list(on disk: any Disk, of numbers: Set<UInt32>) async -> SegmentList? {
    var problem: String?
    do throws(StoreError) {
      if let list = try await SegmentList.read(on: disk) { return list }
      if try await disk.hasReserve || !numbers.isEmpty { problem = "is damaged or gone" }
    } catch {
      problem = "cannot be read: \(error.message)"
    }
    if let problem {
      problems.append(ChunkStoreProblem(path: SegmentList.path, message: problem))
    }
    return nil
  }

  private mutating func read(
    _ number: UInt32, isListed: Bool, wasSealed: Bool, on disk: any Disk, directory: DataDirectory
  ) async throws(StoreError) {
    let file = try await disk.open(StorePaths.segment(number))
    let fileBytes = try await file.size().bytes
    let head = try await file.read(at: 0, length: SegmentHeader.bytes).bytes
    var key: UInt64?
    var problem: String?
    do throws(StoreError) {
      let header = try SegmentHeader(decoding: head)
      key = header.key
      if key == SegmentHeader.emptiedKey { return }
      if let stranger = header.stranger(as: number, of: directory) {
        return report(number, stranger)
      }
    } catch {
      problem = "its header: \(error.message)"
    }
    if isListed, fileBytes <= SegmentHeader.bytes {
      problem = "everything behind its header is gone"
    }
    var footer = try await SegmentRecovery.footer(
      of: file, number: number, fileBytes: fileBytes)
    if footer?.disk != directory.disk { footer = nil }
    if footer == nil, wasSealed { report(number, "its end is damaged or gone") }
    var entries: [SegmentEntry] = []
    var listed: Set<UInt32>?
    if let footer {
      let lists = try await SegmentDump.checkpoint(of: file, footer: footer)
      if !lists.areWhole { report(number, "its checkpoint is damaged") }
      for kill in lists.kills { take(kill) }
      entries = lists.entries
      if lists.areWhole { listed = Set(entries.map(\.unit)) }
    }
    let end = footer.map { Int($0.offset) } ?? fileBytes
    let scanner = SegmentScanner(file: file, number: number, key: key, end: end)
    let found = await scan(
      scanner, durable: footer?.durableBatch ?? 0, listed: listed)
    // One that is not listed was made when the power went, and holds nothing.
    if let problem, isListed || !found.isEmpty { report(number, problem) }
    // What the checkpoint names and is not there: it counts, unless something ended it.
    for entry in entries where !found.contains(entry.unit) {
      records[entry.id, default: []].append(
        Found(
          length: entry.length, place: RecordPlace(segment: number, unit: entry.unit),
          isDamaged: true))
    }
  }

  /// Reads a segment's records.
  ///
  /// - Parameters:
  ///   - scanner: of the segment.
  ///   - durable: the last commit that its footer says was durable.
  ///   - listed: what its checkpoint names; nil: it has no whole one.
  /// - Returns: which were found.
  private mutating func scan(
    _ scanner: SegmentScanner, durable: UInt64, listed: Set<UInt32>?
  ) async -> Set<UInt32> {
    var scanner = scanner
    var durable = durable
    var found: Set<UInt32> = []
    var bad: [RecordHeader] = []
    var headless: [(place: RecordPlace, batch: UInt64)] = []
    while let finding = await scanner.next() {
      if case .brokenHeader(let place, let batch) = finding, listed == nil {
        headless.append((place, batch))
      }
      guard case .record(let header, let badBlocks) = finding else { continue }
      durable = max(durable, header.durableBatch)
      found.insert(header.place.unit)
      if let listed, !listed.contains(header.place.unit) {
        // Of a sealed segment only what its checkpoint names counts.
        if header.kind == .chunk { deadRecords += 1 }
      } else if badBlocks.isEmpty {
        take(header, isDamaged: false)
      } else {
        bad.append(header)
      }
    }
    if let failure = scanner.failure {
      report(scanner.number, "a part of it can't be read: \(failure.message)")
    }
    for header in bad where header.batch <= durable { take(header, isDamaged: true) }
    torn += bad.filter { $0.batch > durable }.map(\.place)
    // No commit has the number 0.
    for record in headless {
      if record.batch > 0, record.batch <= durable {
        broken.append(record.place)
      } else {
        torn.append(record.place)
      }
    }
    return found
  }

  private mutating func take(_ header: RecordHeader, isDamaged: Bool) {
    if let kill = header.kill { take(kill) }
    guard header.kind == .chunk else { return }
    records[header.record.chunk.id, default: []].append(
      Found(length: header.record.chunk.length, place: header.place, isDamaged: isDamaged))
  }

  private mutating func take(_ kill: RecordKill) {
    kills.insert(kill.place)
    guard kill.deletedAt > 0 else { return }
    deletedUpTo[kill.id] = max(deletedUpTo[kill.id] ?? kill.place, kill.place)
  }

  /// Counts once everything was read: what ends a record may stand behind it.
  private mutating func count() {
    for (id, found) in records {
      let live = found.filter { record in
        !kills.contains(record.place) && !(deletedUpTo[id].map { record.place < $0 } ?? false)
      }
      deadRecords += found.count - live.count
      guard let last = live.max(by: { $0.place < $1.place }) else { continue }
      deadRecords += live.count - 1
      if last.isDamaged {
        damaged.append(
          Damage(
            id: id, path: StorePaths.segment(last.place.segment), offset: last.place.offset))
      } else {
        chunks += 1
        chunkBytes += UInt64(last.length)
      }
    }
    damaged.sort { $0.id < $1.id }
    tornRecords = torn.count { !kills.contains($0) }
    let lost = Dictionary(grouping: broken.filter { !kills.contains($0) }, by: \.segment)
    for (segment, places) in lost.sorted(by: { $0.key < $1.key }) {
      report(
        segment,
        "\(places.count) headers are damaged, or other places', the first one at byte "
          + "\(places[0].offset)")
    }
    records = [:]
    kills = []
    deletedUpTo = [:]
  }

  private mutating func report(_ number: UInt32, _ message: String) {
    problems.append(ChunkStoreProblem(path: StorePaths.segment(number), message: message))
  }
}
