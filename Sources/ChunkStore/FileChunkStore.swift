package import StoreModel

/// The simplest correct chunk store: one file a chunk.
///
/// A chunk is written to a temporary file, synced, renamed to its place, and the directory is synced,
/// before it is acknowledged or seen. So a file in its place is always whole: one that is not was
/// damaged later, is set aside in `quarantine`, and answered with `dataLoss` until it is written anew.
///
/// The index in memory is a cache of the files' headers, and is made from them when the store opens.
package actor FileChunkStore: ChunkStore {
  package nonisolated let node: NodeID
  package nonisolated let problems: [ChunkStoreProblem]

  nonisolated let disk: any Disk
  nonisolated let staging: StagingBuffers
  nonisolated let directorySync: DirectorySync
  private let lock: any DiskLock
  private var directory: DataDirectory
  var index: ChunkIndex
  var directories: ChunkDirectories
  /// Files in `quarantine` by the chunk that they were.
  private var quarantined: [ChunkID: [String]]
  /// Who may change a chunk's file: one put or delete at a time.
  private var turns: [ChunkID: [CheckedContinuation<Void, Never>]] = [:]
  private var nextTemporary: UInt64 = 0

  /// Takes over what `open` found.
  init(
    disk: any Disk, lock: any DiskLock, directory: DataDirectory, scan: ChunkScan,
    staging: StagingBuffers
  ) {
    self.disk = disk
    self.lock = lock
    self.directory = directory
    self.staging = staging
    node = directory.node
    problems = scan.problems
    index = scan.index
    directories = scan.directories
    quarantined = scan.quarantined
    directorySync = DirectorySync(disk: disk)
  }

  package var cluster: String {
    directory.cluster
  }

  package func join(cluster: String) async throws {
    try DataDirectory.check(cluster: cluster)
    if directory.cluster == cluster { return }
    guard directory.cluster.isEmpty else {
      throw StoreError(
        .preconditionFailed,
        "this data directory belongs to cluster '\(directory.cluster)', not to '\(cluster)'")
    }
    let joined = DataDirectory(node: node, cluster: cluster)
    try await joined.write(on: disk)
    directory = joined
  }

  package func beginPut(_ chunk: NewChunk) async throws -> any ChunkPut {
    guard (1...ChunkLimits.maxBytes).contains(chunk.length) else {
      throw StoreError(
        .invalidArgument,
        "a chunk has 1 to \(ChunkLimits.maxBytes) bytes, chunk \(chunk.id) would have \(chunk.length)"
      )
    }
    if case .stored(let length, _)? = index[chunk.id], length != chunk.length {
      throw StoreError.conflict(chunk.id)
    }
    nextTemporary += 1
    return FileChunkPut(
      store: self, chunk: chunk, temporary: "\(ChunkPaths.temporary)/\(nextTemporary)")
  }

  package func openChunk(_ id: ChunkID) async throws -> any ChunkReader {
    try await openFile(id)
  }

  package func stat(_ id: ChunkID) async throws -> ChunkRecord {
    let head = try await readHead(of: id, length: ChunkFileHeader.maxBytes)
    return try checkedHeader(head, of: id).record
  }

  package func delete(_ id: ChunkID) async throws {
    await takeTurn(id)
    defer { endTurn(id) }
    guard let entry = index[id] else { throw StoreError.noChunk(id) }
    for name in quarantined[id] ?? [] {
      try await removeIfThere("\(ChunkPaths.quarantine)/\(name)")
    }
    if quarantined.removeValue(forKey: id) != nil {
      try await directorySync.sync(ChunkPaths.quarantine)
    }
    let base = ChunkPaths.base(of: id)
    let last =
      if case .stored(_, let generation) = entry { generation } else {
        directories.generation(of: base)
      }
    for generation in 0...last where directories.isMade(base: base, generation: generation) {
      try await removeIfThere(ChunkPaths.file(of: id, generation: generation))
      try await directorySync.sync(ChunkPaths.directory(base: base, generation: generation))
    }
    index.remove(id)
  }

  package func list(after id: ChunkID?, limit: Int) async throws -> ChunkPage {
    precondition(limit > 0, "a page has room for one chunk at least")
    let ids = index.ids(after: id, limit: limit)
    var records: [ChunkRecord] = []
    records.reserveCapacity(ids.count)
    for id in ids {
      do {
        records.append(try await stat(id))
      } catch let error as StoreError where error.code == .notFound || error.code == .dataLoss {
        continue
      }
    }
    return ChunkPage(records: records, next: ids.count == limit ? ids.last : nil)
  }

  package func statistics() async throws -> NodeStatistics {
    let space = try await disk.space()
    return NodeStatistics(
      capacityBytes: space.capacityBytes, freeBytes: space.freeBytes, usedBytes: index.bytes,
      chunks: UInt64(index.count))
  }

  package func close() async {
    await lock.release()
  }

  /// Waits until nobody else changes the chunk's file.
  func takeTurn(_ id: ChunkID) async {
    guard turns[id] != nil else {
      turns[id] = []
      return
    }
    await withCheckedContinuation { turns[id]?.append($0) }
  }

  /// Lets the next one change the chunk's file.
  func endTurn(_ id: ChunkID) {
    guard var waiting = turns[id], !waiting.isEmpty else {
      turns[id] = nil
      return
    }
    let next = waiting.removeFirst()
    turns[id] = waiting
    next.resume()
  }

  /// Removes a file that may be gone already.
  func removeIfThere(_ path: String) async throws(StoreError) {
    do throws(StoreError) {
      try await disk.remove(path)
    } catch {
      guard error.code == .notFound else { throw error }
    }
  }
}

/// The directories that chunks are written to.
struct ChunkDirectories: Sendable {
  /// The generation of each directory that is written to at present; 0 where nothing stands here.
  private var generations: [String: Int] = [:]
  /// Paths of directories that are there, durably.
  private var made: Set<String> = []

  /// The generation that new chunks go to.
  func generation(of base: String) -> Int {
    generations[base] ?? 0
  }

  /// Whether a directory is there.
  func isMade(base: String, generation: Int) -> Bool {
    made.contains(ChunkPaths.directory(base: base, generation: generation))
  }

  /// Notes that a directory is there.
  mutating func add(base: String, generation: Int) {
    made.insert(ChunkPaths.directory(base: base, generation: generation))
    generations[base] = max(generation, self.generation(of: base))
  }

  /// Turns away from a generation that could not be synced.
  mutating func abandon(base: String, generation: Int) {
    generations[base] = max(generation + 1, self.generation(of: base))
  }
}

extension StoreError {
  /// The chunk is not here.
  static func noChunk(_ id: ChunkID) -> StoreError {
    StoreError(.notFound, "chunk \(id) is not here")
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
