package import ChunkStore
package import Logging
package import RPC
internal import RPCServices
import StoreModel
import StoreProtocol

/// A storage node: serves its chunk store and keeps the Directory informed.
///
/// `run()` lives as long as the node: its connections, calls and reports are its children.
package final class NodeServer: Sendable {
  private let store: any ChunkStore
  private let server: RPCServer
  private let pool: ChannelPool
  private let link: DirectoryLink
  private let healing: ChunkHealing
  private let configuration: NodeConfiguration
  private let ownAddress: OwnAddress
  private let stopSignal = StopSignal()
  private let time: any TimeSource
  private let logger: Logger

  /// Sets a node up; nothing happens before `run`.
  ///
  /// - Parameters:
  ///   - store: its chunks, with its identity. Stays its owner's to close.
  ///   - transport: the network.
  ///   - configuration: where it listens and whom it belongs to.
  ///   - time: the clock.
  ///   - random: for pauses between attempts.
  ///   - logger: what happens to it.
  ///   - interceptors: what stands before its methods.
  package init(
    store: any ChunkStore, transport: any Transport, configuration: NodeConfiguration,
    time: any TimeSource, random: any RandomSource, logger: Logger,
    interceptors: [any ServerInterceptor] = []
  ) {
    self.store = store
    self.configuration = configuration
    self.time = time
    self.logger = logger
    ownAddress = OwnAddress(configuration.advertise ?? configuration.listen)
    let epochs = GroupEpochs()
    pool = ChannelPool(
      transport: transport, time: time, random: random, configuration: configuration.connection)
    link = DirectoryLink(
      store: store, epochs: epochs, pool: pool, configuration: configuration, time: time,
      random: random, stop: stopSignal, logger: logger)
    healing = ChunkHealing(
      store: store, pool: pool, configuration: configuration, time: time, logger: logger)
    let handlers = NodeHandlers(
      store: store,
      groupWrite: GroupWrite(
        store: store, epochs: epochs, pool: pool, configuration: configuration, time: time),
      configuration: configuration, time: time, address: ownAddress, logger: logger)
    let monitor = ServerMonitor()
    var router = Router([handlers])
    router.addStandardServices(files: [.holdfastV1Node], monitor: monitor)
    server = RPCServer(
      router: router.intercepted(by: interceptors), transport: transport,
      address: configuration.listen, time: time,
      configuration: configuration.connection, monitor: monitor)
  }

  /// Where it listens, with the real port; waits until it does.
  ///
  /// - Throws: `RPCError` when it can't listen.
  package var listeningAddress: Address {
    get async throws { try await server.listeningAddress }
  }

  /// Serves until `stop`, or until the task is cancelled, which ends every call at once.
  ///
  /// - Throws: `RPCError` when it can't listen, or when its data belongs to another cluster than
  ///   the first Directory it meets.
  package func run() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await self.store.run() }
      group.addTask { await self.logProblems() }
      group.addTask { await self.healing.run() }
      group.addTask { try await self.serve() }
      // The store is looked after as long as somebody uses it: the first to end is whoever serves.
      try await group.next()
      group.cancelAll()
      try await group.waitForAll()
    }
  }

  /// Serves until everything has ended, or one part of it has failed.
  private func serve() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await self.pool.run() }
      group.addTask {
        try await self.server.run()
        self.pool.shutdown()
      }
      group.addTask {
        let address = try await self.server.listeningAddress
        if self.configuration.advertise == nil { self.ownAddress.value = address }
        try await self.link.run(address: self.ownAddress.value)
        self.server.shutdown()
      }
      // None can do without the others: the first that fails ends them all.
      while try await group.next() != nil {}
    }
  }

  /// Logs what the store finds wrong, as it finds it.
  private func logProblems() async {
    while true {
      for problem in await store.takeProblems() {
        logger.error("\(problem.path): \(problem.message)")
      }
      let next = time.now.advanced(by: NodeServer.problemInterval)
      guard (try? await time.sleep(until: next)) != nil else { return }
    }
  }

  /// How often it asks the store what is wrong.
  private static let problemInterval: Duration = .seconds(2)

  /// Tells the Directory that the node leaves, lets calls finish, and ends `run`. Returns at once.
  package func stop() {
    stopSignal.request()
  }
}
