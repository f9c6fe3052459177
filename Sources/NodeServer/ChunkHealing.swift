import ChunkStore
import Logging
import RPC
import Schema
import StoreModel
import StoreProtocol

/// Makes damaged chunks whole again: asks the Directory who else has them, fetches a good copy, and puts
/// it like any other chunk. The store keeps what is damaged until then.
struct ChunkHealing: Sendable {
  let store: any ChunkStore
  let pool: ChannelPool
  let configuration: NodeConfiguration
  let time: any TimeSource
  let logger: Logger

  /// The longest pause after rounds in which nothing could be healed.
  private static let longestPause: Duration = .seconds(600)
  /// How long the Directory may take to say who has a chunk.
  private static let directoryTimeout: Duration = .seconds(10)

  /// Looks for damaged chunks until the task is cancelled.
  func run() async {
    var pause = configuration.healInterval
    while (try? await time.sleep(until: time.now.advanced(by: pause))) != nil {
      let (healed, left) = await heal()
      let isStuck = healed == 0 && left > 0
      pause =
        isStuck ? min(pause * 2, ChunkHealing.longestPause) : configuration.healInterval
    }
  }

  /// Fetches a good copy of each chunk that is damaged.
  ///
  /// - Returns: how many were healed, and how many are still damaged.
  func heal() async -> (healed: Int, left: Int) {
    var (healed, left) = (0, 0)
    var firstFailure: String?
    for id in await store.damagedChunks() where !Task.isCancelled {
      do {
        let source = try await heal(id)
        logger.notice("chunk \(id) was damaged here and is whole again, from node \(source)")
        healed += 1
      } catch {
        firstFailure = firstFailure ?? "chunk \(id): \(ChunkHealing.message(error))"
        left += 1
      }
    }
    if let firstFailure, !Task.isCancelled {
      logger.error("\(left) damaged chunks could not be healed; the first: \(firstFailure)")
    }
    return (healed, left)
  }

  /// Heals a chunk out of the first other member of its group that has it whole.
  ///
  /// - Returns: the node that had it.
  private func heal(_ id: ChunkID) async throws -> NodeID {
    let directory = DirectoryClient(pool.channel(to: configuration.directory))
    let response = try await directory.getGroup(
      GetGroupRequest(id: id.group), options: CallOptions(timeout: ChunkHealing.directoryTimeout))
    let others = (response.group?.members ?? []).filter { NodeID($0.node) != store.node }
    var failure = "its group has no other member"
    for member in others where !member.address.isEmpty {
      do {
        try await fetch(id, from: member)
        return NodeID(member.node)
      } catch {
        try Task.checkCancellation()
        failure = "node \(NodeID(member.node)): \(ChunkHealing.message(error))"
      }
    }
    throw StoreError(.unavailable, failure)
  }

  /// Puts a chunk as another node has it.
  private func fetch(_ id: ChunkID, from member: WireGroupMember) async throws {
    let client = NodeClient(pool.channel(to: Address(member.address)))
    // Where only the payload is damaged, this node still knows what it was.
    let own = try? await store.stat(id)
    try await IdleWatch.run(
      limit: configuration.replicaIdleLimit, time: time,
      error: RPCError(.deadlineExceeded, "it answers nothing")
    ) { watch in
      watch.start()
      let stat = try await client.statChunk(StatChunkRequest(id: WireChunkId(id)))
      let record = try ChunkRecord(stat, expecting: id, like: own)
      try await store.put(record.chunk) { put in
        try await client.getChunk(GetChunkRequest(id: WireChunkId(id))) { messages in
          var received = 0
          while let message = try await messages.next() {
            watch.pause()
            guard message.offset == received else {
              throw RPCError(.internal, "it sent byte \(message.offset) instead of \(received)")
            }
            received += message.data.count
            for bytes in message.data.pieces { try await put.append(bytes) }
            watch.start()
          }
        }
        watch.pause()
        try await checkHere(id)
        _ = try await put.mend(checksum: record.checksum)
      }
    }
  }

  /// Sees that a chunk wasn't deleted while its copy came in, on whichever disk it is.
  private func checkHere(_ id: ChunkID) async throws {
    do {
      _ = try await store.stat(id)
    } catch let error as StoreError where error.code == .notFound || error.code == .deleted {
      throw error
    } catch {
      return  // It is damaged: that is what the copy is for.
    }
  }

  private static func message(_ error: any Error) -> String {
    (error as? StoreError)?.message ?? (error as? RPCError)?.message ?? "\(error)"
  }
}

extension ChunkRecord {
  /// What another node says of a chunk.
  ///
  /// - Parameters:
  ///   - stat: its answer.
  ///   - id: the chunk it was asked for.
  ///   - own: what is known here, if anything.
  /// - Throws: `StoreError` when the answer is of another chunk, or of other content.
  fileprivate init(
    _ stat: StatChunkResponse, expecting id: ChunkID, like own: ChunkRecord?
  ) throws(StoreError) {
    guard let header = stat.header, try ChunkID(header.id) == id else {
      throw StoreError(.internal, "it answers for another chunk")
    }
    self.init(
      chunk: NewChunk(
        id: id, epoch: header.epoch, length: header.length, name: try Name(header.name)),
      checksum: stat.checksum)
    guard let own else { return }
    guard own.checksum == checksum, own.chunk.length == chunk.length else {
      throw StoreError(.alreadyExists, "it has other content than this node had")
    }
  }
}
