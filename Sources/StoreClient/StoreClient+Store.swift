import Checksum
import Logging
import NIOCore
import RPC
import Schema
import StoreModel
import StoreProtocol
import Synchronization

extension StoreClient {
  /// Stores one chunk on every member of a group; its bytes are kept until then.
  func store(_ chunk: OutgoingChunk, of session: UploadSession) async throws -> Manifest.Chunk {
    var plan = ChunkWritePlan(
      index: chunk.index, attempts: configuration.writeAttempts,
      storageClass: session.storageClass, retry: retryState())
    var action = plan.offered(session.groups, now: time.now, random: random.next())
    while true {
      try Task.checkCancellation()
      switch action {
      case .send(let route):
        switch try await send(chunk, to: route, of: session) {
        case .stored(let stored): return stored
        case .failed(let failures):
          action = plan.failed(failures, now: time.now, random: random.next())
        }
      case .askForGroups(let avoid, let moment):
        if let moment { try await time.sleep(until: moment) }
        do {
          let groups = try await otherGroups(for: session, avoiding: avoid)
          session.replaceGroups(groups)
          action = plan.offered(groups, now: time.now, random: random.next())
        } catch let error as StoreError where error.code.mayRetry {
          action = plan.refused(error, now: time.now, random: random.next())
        }
      case .askForNodes:
        action = plan.found(up: try await nodesUp(), now: time.now, random: random.next())
      case .giveUp(let error):
        throw error
      }
    }
  }

  /// Delays between attempts that go on as long as a Directory that is away is waited for.
  func retryState() -> RetryState {
    RetryState(
      deadline: time.now.advanced(by: configuration.directoryPatience),
      firstDelay: configuration.retryDelay, maxDelay: configuration.maxRetryDelay)
  }

  /// How one attempt ended.
  private enum SendOutcome {
    case stored(Manifest.Chunk)
    case failed([ChunkWritePlan.Failure])
  }

  /// Sends the chunk to the group's first member, which passes it on to the others.
  private func send(
    _ chunk: OutgoingChunk, to route: GroupRoute, of session: UploadSession
  ) async throws -> SendOutcome {
    guard let first = route.members.first else { return .failed([]) }
    let id = ChunkID(group: route.id, upload: session.upload, index: chunk.index)
    let head = PutChunkRequest(
      header: ChunkHeader(
        id: WireChunkId(id), epoch: route.epoch, length: UInt32(chunk.length),
        name: WireName(session.name)),
      forward: route.members.dropFirst().map {
        WireGroupMember(node: $0.node.value, address: $0.address.description)
      })
    let node = NodeClient(pool.channel(to: first.address, lane: lane(of: chunk.index)))
    let checksum = RunningChecksum()
    let failures: [ChunkWritePlan.Failure]
    do {
      let response = try await node.putChunk(
        options: CallOptions(timeout: configuration.putTimeout, runsOnConnection: true)
      ) { writer in
        try await write(chunk, after: head, checksum: checksum, to: writer)
      }
      failures = route.members.compactMap { member in failure(of: member, in: response) }
    } catch let error as RPCError {
      try Task.checkCancellation()
      failures = [.init(node: first.node, code: error.code, message: error.message)]
    }
    note(failures, members: route.members)
    guard failures.isEmpty else { return .failed(failures) }
    return .stored(
      Manifest.Chunk(id: id, length: UInt32(chunk.length), checksum: checksum.value))
  }

  /// Writes the chunk's messages; each piece's checksum is computed just before it is sent, while it
  /// is in the processor's cache.
  private func write(
    _ chunk: OutgoingChunk, after head: PutChunkRequest, checksum: RunningChecksum,
    to writer: MessageWriter<PutChunkRequest>
  ) async throws {
    for (place, piece) in chunk.pieces.enumerated() {
      var request = place == 0 ? head : PutChunkRequest()
      for buffer in piece.pieces { checksum.update(buffer) }
      if place == chunk.pieces.count - 1 { request.checksum = checksum.value }
      request.data = piece
      try await writer.write(request)
    }
  }

  /// How the member fared; nil when it has the chunk on disk.
  private func failure(
    of member: GroupRoute.Member, in response: PutChunkResponse
  ) -> ChunkWritePlan.Failure? {
    guard let result = response.replicas.first(where: { $0.node == member.node.value }) else {
      return .init(
        node: member.node, code: .internal, message: "the group's first node left it out")
    }
    guard result.code != 0 else { return nil }
    let code = UInt8(exactly: result.code).flatMap(StatusCode.init(rawValue:)) ?? .unknown
    return .init(node: member.node, code: code, message: result.message)
  }

  private func note(_ failures: [ChunkWritePlan.Failure], members: [GroupRoute.Member]) {
    for failure in failures {
      logger.info(
        "a node did not store a chunk",
        metadata: ["node": "\(failure.node)", "reason": "\(failure.code): \(failure.message)"])
      if failure.isNodesFault { noteFailure(of: failure.node) }
    }
    if failures.isEmpty {
      for member in members { noteSuccess(of: member.node) }
    }
  }

  /// Which of a node's connections a chunk uses: two, so that both ends work on two cores.
  func lane(of index: UInt32) -> Int {
    Int(index % 2)
  }
}

/// A checksum that a call's body computes and its caller reads.
final class RunningChecksum: Sendable {
  private let checksum = Mutex(CRC32C())

  /// Takes in the buffer's readable bytes.
  func update(_ buffer: ByteBuffer) {
    checksum.withLock { $0.update(buffer) }
  }

  /// Of all bytes so far.
  var value: UInt32 {
    checksum.withLock { $0.value }
  }
}
