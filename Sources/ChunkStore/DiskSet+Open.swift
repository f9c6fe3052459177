package import StoreModel

extension DiskSet {
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
      let set = DiskSet(
        node: node, disks: disks, unused: problems.map(\.path), clock: clock, problems: problems)
      await set.readDeletions()
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

  private func joinAll(_ cluster: String) async throws(StoreError) {
    for disk in disks {
      do {
        try await disk.store.join(cluster: cluster)
      } catch {
        throw (error as? StoreError) ?? StoreError(.internal, "\(error)")
      }
    }
  }
}
