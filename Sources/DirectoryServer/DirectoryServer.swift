package import Logging
package import MetadataStore
package import RPC
package import StoreModel
import StoreProtocol
import Synchronization

/// The Directory's service: the registry of nodes and the location of every file.
///
/// Thin: it checks what comes in, asks the values that decide (liveness, placement) and the metadata
/// store, and answers. What it keeps in memory are nodes and groups, never files.
package final class DirectoryServer: Sendable {
  /// The cluster this Directory leads.
  package var cluster: String { store.cluster }

  let store: any MetadataStore
  let time: any TimeSource
  let random: any RandomSource
  let logger: Logger
  let configuration: DirectoryConfiguration
  /// Of the server that calls come through: tells when it is to stop.
  let monitor: ServerMonitor
  let map: Mutex<ClusterMap>

  /// Loads nodes and groups from the store. Every node is suspect until it is heard.
  ///
  /// `monitor` is the one of the server that calls come through: when that drains, the nodes' streams of
  /// reports end, which would go on for ever otherwise.
  ///
  /// - Throws: `StoreError` when the store can't be read.
  package init(
    store: any MetadataStore, time: any TimeSource, random: any RandomSource, logger: Logger,
    configuration: DirectoryConfiguration = DirectoryConfiguration(),
    monitor: ServerMonitor = ServerMonitor()
  ) async throws(StoreError) {
    self.store = store
    self.monitor = monitor
    self.time = time
    self.random = random
    self.logger = logger
    self.configuration = configuration
    var map = ClusterMap(registry: NodeRegistry(limits: configuration.liveness))
    map.learn(try await store.groups())
    let now = Self.microseconds(time)
    for node in try await store.nodes() {
      map.registry.restore(
        node.record, heard: node.heardMicroseconds, left: node.leftMicroseconds, now: now,
        wallClock: time.wallClockMicroseconds)
    }
    self.map = Mutex(map)
  }

  /// Watches the nodes' silence until the task is cancelled.
  package func run() async throws {
    var next = time.now
    while !Task.isCancelled {
      next.nanoseconds += Self.watchIntervalNanoseconds
      do {
        try await time.sleep(until: next)
      } catch is CancellationError {
        return
      }
      let transitions = map.withLock { $0.registry.tick(now: now) }
      log(transitions)
    }
  }

  /// How often silence is looked at: a second, a tenth of what makes a node suspect.
  private static let watchIntervalNanoseconds: UInt64 = 1_000_000_000

  /// The monotonic clock in microseconds, as the registry counts.
  var now: Int64 { Self.microseconds(time) }

  private static func microseconds(_ time: any TimeSource) -> Int64 {
    Int64(time.now.nanoseconds / 1_000)
  }

  /// Says which nodes changed.
  func log(_ transitions: [NodeTransition]) {
    for transition in transitions {
      logger.log(
        level: transition.to == .up ? .info : .warning, "node changed its state",
        metadata: [
          "node": "\(transition.node)", "from": "\(transition.from.rawValue)",
          "to": "\(transition.to.rawValue)",
        ])
    }
  }

  /// Runs a handler's body: a failure of the store becomes the status that tells the caller of it.
  func answer<Answer>(_ body: () async throws -> Answer) async throws -> Answer {
    do {
      return try await body()
    } catch let error as StoreError {
      if error.code == .internal || error.code == .dataLoss {
        logger.error("a request failed", metadata: ["error": "\(error.message)"])
      }
      throw RPCError(error)
    }
  }
}
