package import StoreModel
import Synchronization

extension DiskSet {
  /// Opens the stores on a node's disks; makes them, and the node, where all directories are empty.
  ///
  /// - Parameters:
  ///   - members: the data directories, at least one.
  ///   - clock: the time.
  ///   - configuration: how each is set up.
  ///   - drawNode: asked for the node's number when all are empty.
  ///   - random: gives 64 random bits.
  /// - Returns: the node's chunks; its problems say which disks are not used, and which are gone that the
  ///   node had when it started last.
  /// - Throws: `preconditionFailed` when one is in use, foreign, of another format, another node's,
  ///   there twice, or empty while others are not (see `add`); `internal`, or `dataLoss` where a format file
  ///   is damaged, when none can be read, or none that says which node it is.
  package static func open(
    _ members: [Member], clock: any ChunkStoreClock,
    configuration: SegmentStore.Configuration = SegmentStore.Configuration(),
    drawNode: () -> NodeID, random: () -> UInt64
  ) async throws(StoreError) -> DiskSet {
    precondition(!members.isEmpty, "a node without a disk")
    let roll = try await DiskRoll(of: members)
    try roll.checkNothingIsMadeAnew()
    if roll.identity == nil, members.count > 1 { try await begin(members) }
    let node = roll.identity?.node ?? drawNode()
    var disks: [Open] = []
    var problems: [ChunkStoreProblem] = []
    do throws(StoreError) {
      for (member, finding) in roll.findings {
        do throws(StoreError) {
          // Not tried again: what is read now is not what was looked at.
          if case .unreadable(let error) = finding { throw error }
          let store = try await SegmentStore.open(
            on: try member.disk.get(), ended: roll.ended(in: finding), clock: clock,
            configuration: configuration, drawNode: { node }, random: random)
          disks.append(Open(path: member.path, store: store))
        } catch {
          // One that can't be read doesn't keep the others from serving; one that is not ours does.
          guard error.isOfOneDisk, members.count > 1 else {
            throw StoreError(error.code, "'\(member.path)': \(error.message)")
          }
          problems.append(
            ChunkStoreProblem(path: member.path, message: "not used: \(error.message)"))
        }
      }
      guard !disks.isEmpty else {
        throw StoreError(.internal, "no data directory can be used: \(problems[0].message)")
      }
      for disk in disks {
        disk.store.shell.withLock { shell in
          shell.state.lacksOtherDisks = disks.count < members.count || !roll.problems.isEmpty
        }
      }
      let set = DiskSet(
        node: node, disks: disks, unused: problems.map(\.path), clock: clock,
        problems: problems + roll.problems)
      set.deletions.withLock { $0.add(roll.deletions) }
      await set.settleDeletions()
      if let cluster = roll.identity?.cluster, !cluster.isEmpty { try await set.joinAll(cluster) }
      _ = try await set.statistics()
      await set.writeDisks(roll)
      return set
    } catch {
      for disk in disks { await disk.store.close() }
      throw error
    }
  }

  /// Makes an empty directory a disk of a node, which uses it from its next start on that is given it.
  ///
  /// - Parameters:
  ///   - fresh: the directory.
  ///   - members: the node's data directories, or some; nothing is changed there.
  ///   - random: gives 64 random bits.
  /// - Throws: `alreadyExists` when it is a node's disk, `preconditionFailed` when it is not empty or in
  ///   use, `notFound` when the others are no node's, and what keeps them from being read.
  package static func add(
    _ fresh: Member, to members: [Member], random: () -> UInt64
  ) async throws(StoreError) {
    let roll = try await DiskRoll(of: members)
    guard let identity = roll.identity else {
      try roll.checkNothingIsMadeAnew()
      throw StoreError(
        .notFound, "'\(members.map(\.path).joined(separator: "', '"))': no node's data is there")
    }
    do throws(StoreError) {
      let disk = try fresh.disk.get()
      // Nothing is left in a directory that is somebody else's, not even a lock.
      try await checkIsFresh(disk)
      let lock = try await disk.lock(StorePaths.lock)
      do throws(StoreError) {
        try await checkIsFresh(disk)
        try await DataDirectory(
          node: identity.node, disk: max(1, random()), cluster: identity.cluster
        ).write(on: disk)
        await lock.release()
      } catch {
        await lock.release()
        throw error
      }
    } catch {
      throw StoreError(error.code, "'\(fresh.path)': \(error.message)")
    }
  }

  private static func checkIsFresh(_ disk: any Disk) async throws(StoreError) {
    guard let known = try await DataDirectory.read(on: disk) else { return }
    throw StoreError(.alreadyExists, "it is a disk of node \(known.node) already")
  }

  /// Marks directories as about to become a new node's disks, before the first one is: should the power
  /// go before the last one is, it is known that that one is not a disk that is gone.
  private static func begin(_ members: [Member]) async throws(StoreError) {
    for member in members {
      do throws(StoreError) {
        try await DiskList(paths: [:]).write(on: try member.disk.get())
      } catch {
        throw StoreError(error.code, "'\(member.path)': \(error.message)")
      }
    }
  }

  /// Reports disks that are gone, and has each of the others know which there are.
  private func writeDisks(_ roll: DiskRoll) async {
    var list = DiskList(paths: roll.present)
    for disk in disks { list.paths[disk.store.diskNumber] = disk.path }
    if roll.unreadable == nil {
      for (number, path) in roll.missing.sorted(by: { $0.key < $1.key }) {
        report(
          path,
          "disk \(NodeID(number)), which was there, is not among the data directories: the chunks on it "
            + "are not here")
      }
    } else {
      // The one that can't be read may be one of them.
      list.paths.merge(roll.missing) { present, _ in present }
    }
    for disk in disks {
      do throws(StoreError) {
        guard try await DiskList.read(on: disk.store.disk) != list else { continue }
        try await list.write(on: disk.store.disk)
      } catch {
        disk.store.report(StorePaths.disks, "cannot be written: \(error.message)")
      }
    }
  }

  /// Has disks that are new know the cluster.
  private func joinAll(_ cluster: String) async throws(StoreError) {
    do {
      try await join(cluster: cluster)
    } catch {
      throw (error as? StoreError) ?? StoreError(.internal, "\(error)")
    }
  }
}

extension StoreError {
  /// Whether it says something about one disk, without which a node's others serve: not that a directory is in use or
  /// somebody else's, or that descriptors or memory are lacking.
  var isOfOneDisk: Bool {
    ![.preconditionFailed, .unavailable].contains(code)
  }
}
