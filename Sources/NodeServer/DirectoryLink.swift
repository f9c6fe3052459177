import ChunkStore
import Logging
import RPC
import StoreModel
import StoreProtocol

/// Keeps the Directory informed: registers the node, then reports over a stream; after a failure again
/// from the start, with growing pauses. A clean stop says so in the last report.
///
/// At its first contact a node that belongs elsewhere ends: somebody made a mistake with it. One that was
/// registered goes on: then the mistake was made with the Directory, and nodes that ended for it would stop
/// the cluster.
struct DirectoryLink: Sendable {
  let store: any ChunkStore
  let epochs: GroupEpochs
  let pool: ChannelPool
  let configuration: NodeConfiguration
  let time: any TimeSource
  let random: any RandomSource
  let stop: StopSignal
  let logger: Logger

  /// The pause after a first failure; each further one doubles it.
  private static let firstPause: Duration = .milliseconds(200)
  /// The longest pause.
  private static let longestPause: Duration = .seconds(5)
  /// How often reports go out where the Directory doesn't say.
  private static let standardInterval: Duration = .seconds(2)
  /// How long the Directory may take to register the node.
  private static let registerTimeout: Duration = .seconds(10)

  /// Works until the node is told to stop.
  ///
  /// - Parameter address: where others reach this node.
  /// - Throws: `RPCError.failedPrecondition` when the data belongs to another cluster than the first
  ///   Directory that is met.
  func run(address: Address) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await keepRegistered(address: address) }
      group.addTask {
        await stop.wait()
        try await time.sleep(until: time.now.advanced(by: configuration.leaveLimit))
      }
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  /// Registers and reports, again and again.
  private func keepRegistered(address: Address) async throws {
    var pause = DirectoryLink.firstPause
    var wasRegistered = false
    while !stop.isRequested {
      do {
        let interval = try await register(address: address)
        wasRegistered = true
        logger.info("registered as node \(store.node) at the Directory")
        pause = DirectoryLink.firstPause
        try await report(every: interval)
      } catch {
        try Task.checkCancellation()
        if let error = error as? RPCError, error.code == .failedPrecondition {
          guard wasRegistered else { throw error }
          logger.error(
            """
            the Directory at \(configuration.directory) is not this node's any more; the node goes on \
            serving and tries again: \(error.message)
            """)
        } else {
          logger.warning("the Directory at \(configuration.directory) is lost: \(error)")
        }
        await wait(jittered(pause))
        pause = min(pause * 2, DirectoryLink.longestPause)
      }
    }
  }

  /// Says who this node is.
  ///
  /// - Returns: how often to report.
  private func register(address: Address) async throws -> Duration {
    let known = await store.cluster
    let request = RegisterNodeRequest(
      node: store.node.value, cluster: known, address: address.description,
      zone: configuration.zone, statistics: WireNodeStatistics(try await store.statistics()))
    let response = try await client.registerNode(
      request, options: CallOptions(timeout: DirectoryLink.registerTimeout))
    do {
      try await store.join(cluster: response.cluster)
    } catch let error as StoreError {
      throw RPCError(error)
    }
    guard response.heartbeatIntervalUs > 0 else { return DirectoryLink.standardInterval }
    let interval = Duration.microseconds(Int64(clamping: response.heartbeatIntervalUs))
    return min(max(interval, .milliseconds(50)), .seconds(60))
  }

  /// Reports over one stream until it breaks or the node stops.
  private func report(every interval: Duration) async throws {
    try await client.heartbeat { writer, reader in
      while true {
        let isLeaving = stop.isRequested
        let statistics = WireNodeStatistics(try await store.statistics())
        try await writer.write(
          HeartbeatRequest(
            node: store.node.value, statistics: statistics, leaving: isLeaving))
        if isLeaving {
          try await writer.finish()
          while try await reader.next() != nil {}
          return
        }
        guard let answer = try await reader.next() else {
          throw RPCError(.unavailable, "the Directory ended the stream of reports")
        }
        for group in answer.groups { epochs.learn(group.id, epoch: group.epoch) }
        await wait(interval)
        try Task.checkCancellation()
      }
    }
  }

  private var client: DirectoryClient {
    DirectoryClient(pool.channel(to: configuration.directory))
  }

  /// Waits that long, or until the node is to stop.
  private func wait(_ duration: Duration) async {
    let end = time.now.advanced(by: duration)
    await withTaskGroup(of: Void.self) { group in
      group.addTask { try? await time.sleep(until: end) }
      group.addTask { await stop.wait() }
      await group.next()
      group.cancelAll()
    }
  }

  /// Half to all of a pause, so that nodes that lost the Directory together don't return together.
  private func jittered(_ pause: Duration) -> Duration {
    pause / 2 + pause / 2 * Double(random.next() >> 11) / Double(UInt64(1) << 53)
  }
}
