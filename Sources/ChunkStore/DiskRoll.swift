import StoreModel

/// Whose directories these are, found out before any of them is opened or made.
///
/// An empty directory is what the place of a disk that isn't mounted looks like. So only a node of which
/// no disk is there yet makes its disks by itself; to one that has some a disk is added on purpose. One that is
/// empty where a disk was counts as one that can't be read: the others serve meanwhile.
struct DiskRoll: Sendable {
  /// What a directory is.
  enum Finding: Sendable {
    /// A node's disk.
    case disk(DataDirectory)
    /// Empty, but for what says that it was about to become this node's when the power went.
    case begun
    /// Empty.
    case empty
    /// Whatever it is, it can't be read.
    case unreadable(StoreError)
  }

  /// The directories, and what each is.
  private(set) var findings: [(member: DiskSet.Member, finding: Finding)] = []
  /// The node and the cluster that they are of; nil while there is no disk among them.
  private(set) var identity: DataDirectory?
  /// Where the first disk is.
  private var firstPath = ""
  /// The disks that the node had, by its disks that are here: where each was, by its number.
  private(set) var known: [UInt64: String] = [:]
  /// What the disks keep for each other of records that no longer count.
  private(set) var deletions: [DeletionList.Entry] = []
  /// Lists of those that can't be read.
  private(set) var problems: [ChunkStoreProblem] = []
  /// The disks that are here: where, by number.
  private(set) var present: [UInt64: String] = [:]

  /// Looks at directories.
  ///
  /// - Throws: `preconditionFailed` when they are not all of one node and cluster, and different ones,
  ///   or hold something else.
  init(of members: [DiskSet.Member]) async throws(StoreError) {
    for member in members {
      do throws(StoreError) {
        let finding = try await find(member)
        findings.append((member, finding))
      } catch {
        guard error.isOfOneDisk else {
          throw StoreError(error.code, "'\(member.path)': \(error.message)")
        }
        findings.append((member, .unreadable(error)))
      }
    }
    for (place, entry) in findings.enumerated() {
      guard case .empty = entry.finding,
        let former = missing.filter({ DiskRoll.isSame($0.value, entry.member.path) }).keys.min()
      else { continue }
      findings[place].finding = .unreadable(
        StoreError(
          .internal,
          "it is empty, and the node's disk \(NodeID(former)) was there: if it should be mounted, mount it and "
            + "start the node again; if it is gone for good, leave the directory out, or run 'holdfast store "
            + "add-disk \(entry.member.path) --data \(firstPath)' to begin a new one there"))
    }
  }

  /// Whether two paths are the same but for slashes at their ends.
  private static func isSame(_ one: String, _ other: String) -> Bool {
    one == other || trimmed(one) == trimmed(other)
  }

  private static func trimmed(_ path: String) -> Substring {
    var path = path[...]
    while path.hasSuffix("/") { path.removeLast() }
    return path
  }

  /// The disks that the node had and that are not here.
  var missing: [UInt64: String] {
    known.filter { present[$0.key] == nil }
  }

  /// Where the records of a directory are that no longer count, by what other disks keep.
  func ended(in finding: Finding) -> [RecordPlace] {
    guard case .disk(let directory) = finding else { return [] }
    return deletions.filter { $0.disk == directory.disk }.map(\.kill.place)
  }

  /// The first directory that can't be read, and why.
  var unreadable: (path: String, error: StoreError)? {
    for case (let member, .unreadable(let error)) in findings { return (member.path, error) }
    return nil
  }

  /// Sees that nothing would be made anew where something should be.
  ///
  /// - Throws: `preconditionFailed` for an empty directory of a node that has disks, and none was there;
  ///   `internal`, or `dataLoss` for a damaged format file, where no directory says which node it is and one
  ///   can't be read.
  func checkNothingIsMadeAnew() throws(StoreError) {
    guard identity != nil else {
      guard let (path, error) = unreadable else { return }
      throw StoreError(
        error.code,
        "'\(path)' can't be read, and no other data directory says which node this is: nothing was "
          + "made anew (\(error.message))")
    }
    for case (let member, .empty) in findings {
      throw StoreError(
        .preconditionFailed,
        "'\(member.path)' is empty, and the node has disks already. If a disk should be "
          + "mounted there, mount it. If it is to be a new disk, run 'holdfast store add-disk "
          + "\(member.path) --data \(firstPath)' once. Else leave the directory out")
    }
  }

  /// What a directory is, if it fits those before it.
  private mutating func find(_ member: DiskSet.Member) async throws(StoreError) -> Finding {
    let disk = try member.disk.get()
    guard let directory = try await DataDirectory.read(on: disk) else {
      return try await DiskList.read(on: disk) == nil ? .empty : .begun
    }
    if let twin = present.updateValue(member.path, forKey: directory.disk) {
      throw StoreError(.preconditionFailed, "it is a copy of '\(twin)': one of them must go")
    }
    if let identity, identity.node != directory.node {
      throw StoreError(
        .preconditionFailed,
        "it belongs to node \(directory.node), '\(firstPath)' to node \(identity.node): a node's "
          + "directories are all its own")
    }
    if let identity, !identity.cluster.isEmpty, !directory.cluster.isEmpty,
      identity.cluster != directory.cluster
    {
      throw StoreError(
        .preconditionFailed,
        "it belongs to cluster '\(directory.cluster)', '\(firstPath)' to '\(identity.cluster)'")
    }
    if identity == nil || identity?.cluster.isEmpty == true {
      identity = directory
      firstPath = member.path
    }
    // Without it the disk is as good.
    let list = (try? await DiskList.read(on: disk)) ?? DiskList(paths: [:])
    known.merge(list.paths) { first, _ in first }
    do throws(StoreError) {
      deletions += try await DeletionList.read(on: disk)?.entries ?? []
    } catch {
      problems.append(
        ChunkStoreProblem(
          path: "\(member.path)/\(StorePaths.deletions)",
          message: "cannot be read: \(error.message)"))
    }
    return .disk(directory)
  }
}
