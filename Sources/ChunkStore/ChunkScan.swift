package import StoreModel

/// What a data directory holds, found by reading the headers of all files in it.
///
/// Nothing that is wrong in there stops it: what is damaged or foreign is set aside and reported.
struct ChunkScan: Sendable {
  var index = ChunkIndex()
  var directories = ChunkDirectories()
  /// Files in `quarantine` by the chunk that they were.
  var quarantined: [ChunkID: [String]] = [:]
  var problems: [ChunkStoreProblem] = []

  /// What a look at a file gave.
  private enum Finding: Sendable {
    /// A whole chunk of so many bytes.
    case chunk(ChunkID, length: UInt32)
    /// Not a chunk, or a damaged one; the chunk it was by its name.
    case bad(ChunkID?, reason: String)
    /// It could not be read.
    case unreadable(ChunkID?, reason: String)
  }

  private let disk: any Disk
  /// Files that are read at the same time.
  private static let readsAtOnce = 16

  private init(disk: any Disk) {
    self.disk = disk
  }

  /// Looks at everything.
  ///
  /// - Throws: what keeps the store from working at all: its own directories can't be made or listed.
  static func run(on disk: any Disk) async throws(StoreError) -> ChunkScan {
    var scan = ChunkScan(disk: disk)
    for directory in [ChunkPaths.chunks, ChunkPaths.temporary, ChunkPaths.quarantine] {
      try await disk.makeDirectory(directory)
    }
    try await disk.sync(directory: "")
    try await scan.removeTemporaries()
    try await scan.readQuarantine()
    for entry in try await disk.list(ChunkPaths.chunks) {
      let path = "\(ChunkPaths.chunks)/\(entry.name)"
      guard entry.isDirectory,
        let (base, generation) = ChunkPaths.generation(ofDirectory: entry.name)
      else {
        scan.report(path, "is not a directory of chunks; left alone")
        continue
      }
      await scan.readDirectory(path, base: base, generation: generation)
    }
    try await disk.sync(directory: ChunkPaths.chunks)
    return scan
  }

  /// The header of a file that is the chunk's and has all its bytes.
  static func header(
    of head: DiskRead, expected id: ChunkID
  ) throws(StoreError) -> ChunkFileHeader {
    let header = try ChunkFileHeader(decoding: head.bytes)
    guard header.record.chunk.id == id else {
      throw StoreError(.dataLoss, "its file is that of chunk \(header.record.chunk.id)")
    }
    guard head.fileBytes >= header.byteCount + Int(header.record.chunk.length) else {
      throw StoreError(.dataLoss, "its file is cut short")
    }
    return header
  }

  /// Removes what puts left that were never acknowledged.
  private mutating func removeTemporaries() async throws(StoreError) {
    for entry in try await disk.list(ChunkPaths.temporary) {
      let path = "\(ChunkPaths.temporary)/\(entry.name)"
      do throws(StoreError) {
        try await disk.remove(path)
      } catch {
        report(path, "cannot be removed: \(error.message)")
      }
    }
  }

  /// Notes which chunks were found damaged before.
  private mutating func readQuarantine() async throws(StoreError) {
    for entry in try await disk.list(ChunkPaths.quarantine) {
      let stem = entry.name.split(separator: ".").first ?? ""
      guard let id = ChunkPaths.chunk(ofFile: stem) else { continue }
      quarantined[id, default: []].append(entry.name)
      index.set(id, .damaged)
    }
  }

  /// Looks at all files of a directory, and makes sure that what it holds outlives a power cut: the
  /// process may have gone down between a rename and its sync.
  private mutating func readDirectory(_ path: String, base: String, generation: Int) async {
    directories.add(base: base, generation: generation)
    do throws(StoreError) {
      let entries = try await disk.list(path)
      let findings = await look(at: entries.map(\.name), in: path)
      for (entry, finding) in zip(entries, findings) {
        await take(finding, path: path, name: entry.name, generation: generation)
      }
      try await disk.sync(directory: path)
    } catch {
      report(path, "cannot be used further: \(error.message)")
      directories.abandon(base: base, generation: generation)
    }
  }

  /// Reads the headers of files, some at a time; findings come in the order of the names.
  private func look(at names: [String], in directory: String) async -> [Finding] {
    let disk = disk
    return await withTaskGroup(of: (Int, Finding).self) { group in
      var findings = [Finding?](repeating: nil, count: names.count)
      for (place, name) in names.enumerated() {
        if place >= ChunkScan.readsAtOnce, let (done, finding) = await group.next() {
          findings[done] = finding
        }
        group.addTask {
          (place, await ChunkScan.look(at: "\(directory)/\(name)", name: name, on: disk))
        }
      }
      for await (done, finding) in group { findings[done] = finding }
      return findings.compactMap { $0 }
    }
  }

  /// Looks at one file.
  private static func look(at path: String, name: String, on disk: any Disk) async -> Finding {
    guard let id = ChunkPaths.chunk(ofFile: name) else {
      return .bad(nil, reason: "is no chunk's name")
    }
    let head: DiskRead
    do throws(StoreError) {
      head = try await disk.read(path, at: 0, length: ChunkFileHeader.maxBytes)
    } catch {
      return .unreadable(id, reason: error.message)
    }
    do throws(StoreError) {
      let header = try header(of: head, expected: id)
      return .chunk(id, length: header.record.chunk.length)
    } catch {
      return .bad(id, reason: error.message)
    }
  }

  /// Acts on a finding.
  private mutating func take(
    _ finding: Finding, path: String, name: String, generation: Int
  ) async {
    switch finding {
    case .chunk(let id, let length):
      index.set(id, .stored(length: length, generation: generation))
    case .unreadable(let id, let reason):
      report("\(path)/\(name)", "cannot be read: \(reason)")
      if let id { noteDamage(of: id) }
    case .bad(let id, let reason):
      await setAside(name, in: path, reason: reason)
      guard let id else { return }
      noteDamage(of: id)
    }
  }

  /// Moves a file to `quarantine`, under a name that is free.
  private mutating func setAside(_ name: String, in directory: String, reason: String) async {
    let path = "\(directory)/\(name)"
    let id = ChunkPaths.chunk(ofFile: name)
    do throws(StoreError) {
      let taken = Set(try await disk.list(ChunkPaths.quarantine).map(\.name))
      var number = 1
      while taken.contains("\(name).\(number)") { number += 1 }
      try await disk.rename(path, to: "\(ChunkPaths.quarantine)/\(name).\(number)")
      if let id { quarantined[id, default: []].append("\(name).\(number)") }
      try await disk.sync(directory: ChunkPaths.quarantine)
      report(path, "\(reason); moved to '\(ChunkPaths.quarantine)/\(name).\(number)'")
    } catch {
      report(path, "\(reason); left where it is: \(error.message)")
    }
  }

  /// Notes that a chunk is damaged, unless another file has it whole.
  private mutating func noteDamage(of id: ChunkID) {
    if index[id] == nil { index.set(id, .damaged) }
  }

  private mutating func report(_ path: String, _ message: String) {
    problems.append(ChunkStoreProblem(path: path, message: message))
  }
}

extension FileChunkStore {
  /// The most memory in which chunks are gathered on their way to the disk, in bytes.
  package static let stagingBytes = 64 << 20

  /// Opens the store in a disk's directory; makes it there when the directory is empty.
  ///
  /// - Parameters:
  ///   - disk: the data directory.
  ///   - drawNode: asked for the node's number when the directory is empty.
  ///   - stagingBytes: the most memory in which chunks are gathered; at least 2 MiB.
  /// - Returns: the store; its `problems` say what is wrong in the directory.
  /// - Throws: `preconditionFailed` when the directory is in use, foreign, or of a newer format;
  ///   `dataLoss` when its format file is damaged.
  package static func open(
    on disk: any Disk, drawNode: () -> NodeID, stagingBytes: Int = FileChunkStore.stagingBytes
  ) async throws(StoreError) -> FileChunkStore {
    let lock = try await disk.lock(ChunkPaths.lock)
    do throws(StoreError) {
      let directory = try await DataDirectory.open(on: disk, drawNode: drawNode)
      let scan = try await ChunkScan.run(on: disk)
      let staging = StagingBuffers(
        budget: max(stagingBytes, 2 * FileChunkPut.bufferBytes),
        spareBytes: FileChunkPut.bufferBytes, maxSpares: 16)
      return FileChunkStore(
        disk: disk, lock: lock, directory: directory, scan: scan, staging: staging)
    } catch {
      await lock.release()
      throw error
    }
  }
}
