import Logging
import MetadataStore
package import RPC
import StoreModel
package import StoreProtocol
import Synchronization

extension DirectoryServer: DirectoryService {
  /// A node says who it is.
  package func registerNode(
    _ request: RegisterNodeRequest, context: CallContext
  ) async throws -> RegisterNodeResponse {
    try await answer {
      let record = NodeRecord(
        id: NodeID(request.node), address: request.address, zone: request.zone)
      try RequestLimits.check(record)
      guard request.cluster.isEmpty || request.cluster == store.cluster else {
        throw StoreError(
          .preconditionFailed,
          "node \(record.id) belongs to cluster \(request.cluster.prefix(64)), this is "
            + "\(store.cluster): give it the Directory of its own cluster, or an empty data directory"
        )
      }
      let wallClock = time.wallClockMicroseconds
      let (known, count) = map.withLock { ($0.registry[record.id], $0.registry.nodes.count) }
      guard known != nil || count < RequestLimits.maxNodes else {
        throw StoreError(.resourceExhausted, "there are \(count) nodes already")
      }
      // A node that comes back as it was costs no write, so that it can even while the disk is full.
      if known?.record != record || known?.leftWallClockMicroseconds != nil {
        try await store.save(StoredNode(record: record, heardMicroseconds: wallClock))
      }
      let (former, transitions) = map.withLock { map in
        (
          map.registry.contestedAddress(of: record, now: now),
          map.registry.registered(
            record, statistics: NodeStatistics(request.statistics), now: now, wallClock: wallClock)
        )
      }
      if let former {
        logger.warning(
          """
          a node registers from another address while it reports from the former one: two copies of it \
          seem to run, stop one of them
          """,
          metadata: [
            "node": "\(record.id)", "address": "\(record.address)", "former": "\(former)",
          ])
      }
      if known == nil {
        logger.info(
          "node registered",
          metadata: ["node": "\(record.id)", "address": "\(record.address)"])
      }
      log(transitions)
      return RegisterNodeResponse(
        cluster: store.cluster,
        heartbeatIntervalUs: UInt64(configuration.heartbeatInterval / .microseconds(1)))
    }
  }

  /// Takes a node's reports until it leaves, its stream breaks or the server is to stop: the node comes
  /// back when there is a Directory again.
  package func heartbeat(
    _ requests: MessageReader<HeartbeatRequest>, responses: MessageWriter<HeartbeatResponse>,
    context: CallContext
  ) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await self.takeReports(requests, responses) }
      group.addTask {
        await self.monitor.untilDraining()
        throw RPCError(.unavailable, "the Directory is stopping")
      }
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  /// Every node the Directory knows.
  package func listNodes(
    _ request: ListNodesRequest, context: CallContext
  ) async throws -> ListNodesResponse {
    let nodes = map.withLock { $0.registry.nodes }
    return ListNodesResponse(
      nodes: nodes.map { node in
        WireNodeDescription(
          node.record, state: node.state, statistics: node.statistics ?? NodeStatistics(),
          lastHeartbeatMicroseconds: node.heardWallClockMicroseconds)
      })
  }

  /// A group's present members.
  package func getGroup(
    _ request: GetGroupRequest, context: CallContext
  ) async throws -> GetGroupResponse {
    try await answer {
      let found = map.withLock { map in
        map.wire(map.groups.filter { $0.id == request.id }).first
      }
      guard let found else {
        throw StoreError(.notFound, "there is no placement group \(request.id)")
      }
      return GetGroupResponse(group: found)
    }
  }

  /// What a heartbeat stream has said so far.
  private struct HeartbeatStream {
    var node: (id: NodeID, session: UInt64)?
    /// The revision of the groups at the last answer, and the highest epoch the node was told of each.
    var revision: UInt64?
    var epochs: [GroupID: UInt64] = [:]
  }

  /// Takes reports until there are no more, then knows the node as one that isn't heard.
  private func takeReports(
    _ requests: MessageReader<HeartbeatRequest>, _ responses: MessageWriter<HeartbeatResponse>
  ) async throws {
    var stream = HeartbeatStream()
    do {
      try await answer {
        while let request = try await requests.next() {
          try await responses.write(try await take(request, &stream))
        }
      }
    } catch {
      await end(stream)
      throw error
    }
    await end(stream)
  }

  /// One report.
  private func take(
    _ request: HeartbeatRequest, _ stream: inout HeartbeatStream
  ) async throws(StoreError) -> HeartbeatResponse {
    let id = NodeID(request.node)
    if let node = stream.node, node.id != id {
      throw StoreError(
        .invalidArgument, "a heartbeat stream is one node's: \(node.id) opened this, not \(id)")
    }
    let wallClock = time.wallClockMicroseconds
    let statistics = NodeStatistics(request.statistics)
    var opened = stream.node
    let transitions = try map.withLock { map throws(StoreError) in
      var session = opened?.session ?? 0
      if opened == nil { session = try map.registry.streamOpened(id) }
      opened = (id, session)
      if request.leaving {
        return map.registry.left(id, session: session, now: now, wallClock: wallClock)
      }
      return try map.registry.heartbeat(
        id, session: session, statistics: statistics, now: now, wallClock: wallClock)
    }
    stream.node = opened
    log(transitions)
    if request.leaving { await remember(id) }
    return HeartbeatResponse(groups: risenGroups(id, &stream))
  }

  /// The groups of a node whose epoch rose since the last answer; at first all whose members ever
  /// changed.
  private func risenGroups(
    _ id: NodeID, _ stream: inout HeartbeatStream
  ) -> [WirePlacementGroup] {
    let known = (revision: stream.revision, epochs: stream.epochs)
    let (revision, risen, wire) = map.withLock { map in
      guard map.revision != known.revision else {
        return (map.revision, [PlacementGroup](), [WirePlacementGroup]())
      }
      let risen = map.groups.filter { group in
        group.epoch > known.epochs[group.id] ?? 1 && group.members.contains(id)
      }
      return (map.revision, risen, map.wire(risen))
    }
    stream.revision = revision
    for group in risen { stream.epochs[group.id] = group.epoch }
    return wire
  }

  /// A stream is over: without a word before, the node is suspect.
  private func end(_ stream: HeartbeatStream) async {
    guard let node = stream.node else { return }
    let transitions = map.withLock { $0.registry.streamEnded(node.id, session: node.session) }
    log(transitions)
    if !transitions.isEmpty { await remember(node.id) }
  }

  /// Writes down when a node was last heard, for after a restart.
  private func remember(_ id: NodeID) async {
    guard let node = map.withLock({ $0.registry[id] }) else { return }
    do throws(StoreError) {
      try await store.save(
        StoredNode(
          record: node.record, heardMicroseconds: node.heardWallClockMicroseconds,
          leftMicroseconds: node.leftWallClockMicroseconds))
    } catch {
      logger.warning(
        "can't remember when a node was heard",
        metadata: ["node": "\(id)", "error": "\(error.message)"])
    }
  }
}
