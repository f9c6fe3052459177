import RPC
public import StoreModel
import StoreProtocol

extension StoreClient {
  /// What is known of a name.
  ///
  /// - Throws: `StoreError`, `notFound` when there is no such name; `RPCError` when the caller is
  ///   refused; `CancellationError`. So do the other calls here.
  public func stat(_ name: Name) async throws -> FileStatus {
    let response = try await callDirectory { directory, options in
      try await directory.getEntry(GetEntryRequest(name: WireName(name)), options: options)
    }
    return FileStatus(
      entry: try entry(response.entry), copies: Int(response.copies),
      targetCopies: Int(response.targetCopies), chunks: Int(response.chunks))
  }

  /// Removes a name.
  ///
  /// - Returns: the version that was removed.
  @discardableResult
  public func delete(_ name: Name, condition: Condition = .none) async throws -> UInt64 {
    let request = DeleteEntryRequest(
      name: WireName(name), condition: WireCondition(condition), idempotencyKey: drawKey())
    return try await callDirectory { directory, options in
      try await directory.deleteEntry(request, options: options).version
    }
  }

  /// Gives a file another name, in place of what stood there; its chunks are not touched.
  ///
  /// `condition` must hold of `target`. Returns the new entry.
  public func rename(
    _ source: Name, to target: Name, condition: Condition = .none
  ) async throws -> Entry {
    let request = RenameEntryRequest(
      source: WireName(source), target: WireName(target), condition: WireCondition(condition),
      idempotencyKey: drawKey())
    let response = try await callDirectory { directory, options in
      try await directory.renameEntry(request, options: options)
    }
    return try entry(response.entry)
  }

  /// Makes a second name for a file's content, in place of what stood there; its chunks are not touched.
  ///
  /// `condition` must hold of `target`. Returns the new entry.
  public func copy(
    _ source: Name, to target: Name, condition: Condition = .none
  ) async throws -> Entry {
    let request = CopyEntryRequest(
      source: WireName(source), target: WireName(target), condition: WireCondition(condition),
      idempotencyKey: drawKey())
    let response = try await callDirectory { directory, options in
      try await directory.copyEntry(request, options: options)
    }
    return try entry(response.entry)
  }

  /// The names that begin with `prefix`, in the order of their bytes.
  ///
  /// - Parameters:
  ///   - bucket: the bucket to list.
  ///   - prefix: what keys begin with; empty for all.
  ///   - delimiter: when not empty, keys that hold it after the prefix are folded into one prefix.
  ///   - pageSize: names asked for at a time, 1 to 1,000.
  /// - Returns: the listing; nothing is asked before it is iterated.
  public func list(
    bucket: String = Name.defaultBucket, prefix: String = "", delimiter: String = "",
    pageSize: Int = 1_000
  ) -> Listing {
    Listing(
      client: self, bucket: bucket, prefix: prefix, delimiter: delimiter,
      pageSize: min(1_000, max(1, pageSize)))
  }

  /// Every node that the Directory knows.
  public func nodes() async throws -> [NodeSummary] {
    let response = try await callDirectory { directory, options in
      try await directory.listNodes(ListNodesRequest(), options: options)
    }
    return response.nodes.map(NodeSummary.init)
  }

  /// The cluster in a few figures.
  public func status() async throws -> ClusterStatus {
    let response = try await callDirectory { directory, options in
      try await directory.getStatus(GetStatusRequest(), options: options)
    }
    return ClusterStatus(response)
  }

  private func entry(_ wire: WireEntry?) throws(StoreError) -> Entry {
    guard let wire else { throw StoreError(.internal, "the Directory sent no entry") }
    return try Entry(wire)
  }

  /// 16 random bytes, so that a repeated call has the effect of the first.
  private func drawKey() -> [UInt8] {
    [random.next(), random.next()].flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    }
  }
}

extension NodeSummary {
  init(_ wire: WireNodeDescription) {
    self.init(
      record: NodeRecord(id: NodeID(wire.id), address: wire.address, zone: wire.zone),
      state: NodeState(wire.state), statistics: NodeStatistics(wire.statistics),
      lastHeartbeatMicroseconds: wire.lastHeartbeatUs)
  }
}

extension ClusterStatus {
  init(_ wire: GetStatusResponse) {
    self.init()
    cluster = wire.cluster
    entries = wire.entries
    bytes = wire.bytes
    nodesUp = Int(wire.nodesUp)
    nodesSuspect = Int(wire.nodesSuspect)
    nodesDead = Int(wire.nodesDead)
    groups = Int(wire.groups)
    groupsBelowTarget = Int(wire.groupsBelowTarget)
    bytesBelowTarget = wire.bytesBelowTarget
    chunksAtOneCopy = wire.chunksAtOneCopy
    chunksUnavailable = wire.chunksUnavailable
  }
}
