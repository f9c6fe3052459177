import ChunkStore
import RPC
import Schema
import StoreModel
import StoreProtocol

/// One chunk on its way to this node's store and, piece by piece and uncopied, to the other replicas.
///
/// Another replica that fails, or takes nothing for too long, doesn't hold up the rest: its result says
/// so. When this node can't store the chunk, the others are told to give up, and the call fails.
struct GroupWrite: Sendable {
  let store: any ChunkStore
  let epochs: GroupEpochs
  let pool: ChannelPool
  let configuration: NodeConfiguration
  let time: any TimeSource

  /// One other replica with the pieces that wait for it.
  private struct Replica: Sendable {
    let place: Int
    let member: WireGroupMember
    let pieces = PieceQueue<PutChunkRequest>(capacity: NodeLimits.queuedPieces)
  }

  /// Takes a chunk out of a call's messages.
  ///
  /// - Parameters:
  ///   - requests: the call's messages.
  ///   - watch: watches the writer.
  /// - Returns: how each replica fared, this one first.
  /// - Throws: `StoreError` or `RPCError` when this node has not stored it.
  func run(
    _ requests: MessageReader<PutChunkRequest>, watch: IdleWatch
  ) async throws -> PutChunkResponse {
    guard let first = try await next(requests, watch: watch) else {
      throw StoreError(.invalidArgument, "the put has no messages")
    }
    let plan = try ChunkPlan(first, node: store.node)
    try epochs.check(plan.chunk.id.group, epoch: plan.chunk.epoch)
    let replicas = plan.forward.enumerated().map { Replica(place: $0.offset, member: $0.element) }
    return try await withThrowingTaskGroup(of: (Int, ReplicaResult).self) { group in
      for replica in replicas {
        group.addTask { (replica.place, await forward(to: replica)) }
      }
      do {
        try await storeHere(first, requests, plan: plan, replicas: replicas, watch: watch)
      } catch {
        for replica in replicas { replica.pieces.close() }
        group.cancelAll()
        throw error
      }
      var results = [ReplicaResult?](repeating: nil, count: replicas.count)
      for try await (place, result) in group { results[place] = result }
      let own = ReplicaResult(node: store.node.value, code: 0, message: "")
      return PutChunkResponse(replicas: [own] + results.compactMap { $0 })
    }
  }

  /// Stores the chunk on this node and gives each piece to the other replicas.
  private func storeHere(
    _ first: PutChunkRequest, _ requests: MessageReader<PutChunkRequest>, plan: ChunkPlan,
    replicas: [Replica], watch: IdleWatch
  ) async throws {
    try await store.put(plan.chunk) { put in
      var plan = plan
      var message = first
      var isFirst = true
      while true {
        let piece = try plan.take(message, isFirst: isFirst)
        isFirst = false
        for replica in replicas { await replica.pieces.put(piece) }
        for bytes in message.data.pieces { try await put.append(bytes) }
        if plan.isComplete { break }
        guard let following = try await next(requests, watch: watch) else {
          throw StoreError(
            .invalidArgument,
            "chunk \(plan.chunk.id) was announced with \(plan.chunk.length) bytes, but "
              + "\(plan.received) came")
        }
        message = following
      }
      for replica in replicas { replica.pieces.finish() }
      _ = try await put.finish(checksum: message.checksum)
    }
  }

  /// Passes the chunk on to another replica.
  private func forward(to replica: Replica) async -> ReplicaResult {
    defer { replica.pieces.close() }
    let member = replica.member
    do {
      let response = try await IdleWatch.run(
        limit: configuration.replicaIdleLimit, time: time,
        error: RPCError(.deadlineExceeded, "node \(NodeID(member.node)) takes or answers nothing")
      ) { watch in
        try await send(replica, watch: watch)
      }
      guard let result = response.replicas.first, response.replicas.count == 1 else {
        throw RPCError(.internal, "node \(NodeID(member.node)) gave no result for itself")
      }
      guard result.node == member.node else {
        throw RPCError(
          .failedPrecondition,
          "at \(member.address) is node \(NodeID(result.node)), not \(NodeID(member.node))")
      }
      return result
    } catch {
      let failure = (error as? RPCError) ?? RPCError(.unknown, "\(error)")
      return ReplicaResult(
        node: member.node, code: UInt32(failure.code.rawValue), message: failure.message)
    }
  }

  /// The call to another replica.
  private func send(_ replica: Replica, watch: IdleWatch) async throws -> PutChunkResponse {
    let client = NodeClient(pool.channel(to: Address(replica.member.address)))
    return try await client.putChunk { writer in
      while let piece = await replica.pieces.next() {
        watch.start()
        try await writer.write(piece)
        watch.pause()
      }
      // Closed, not finished: the writer or this node has failed, so the chunk must not be whole there.
      guard !replica.pieces.isClosed else { throw CancellationError() }
      watch.start()
    }
  }

  /// The writer's next message, waited for no longer than the limit.
  private func next(
    _ requests: MessageReader<PutChunkRequest>, watch: IdleWatch
  ) async throws -> PutChunkRequest? {
    watch.start()
    do {
      let message = try await requests.next()
      watch.pause(received: message?.data.count ?? 0)
      return message
    } catch {
      watch.pause()
      throw error
    }
  }
}
