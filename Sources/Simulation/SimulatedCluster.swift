internal import DirectoryServer
internal import Logging
internal import MetadataStore
package import RPC
internal import SeededExecution
package import StoreClient
internal import StoreModel

/// A whole cluster in one process: a Directory, nodes and a client over a network and disks in memory.
///
/// Everything that the services take as parameters comes from the simulation's world, so that the
/// same seed gives the same history.
package final class SimulatedCluster: Sendable {
  /// What a cluster is made of.
  package struct Plan: Sendable {
    /// How many nodes.
    package var nodes = 3
    /// Bytes of a chunk: small, so that small files have many.
    package var chunkBytes: UInt32 = 128 << 10
    /// How the client goes about its work.
    package var client = ClientConfiguration()

    /// Three nodes, chunks of 128 KiB in pieces of 64 KiB.
    package init() {
      client.pieceBytes = 64 << 10
    }
  }

  /// The nodes, all started by `run`.
  package let nodes: [SimulatedNode]
  /// What everything here lives in.
  package let world: Simulation.World

  private let plan: Plan
  private let network: MemoryNetwork
  private let directory = Address("directory:1")

  /// A cluster of fresh disks.
  package init(world: Simulation.World, plan: Plan = Plan()) {
    self.world = world
    self.plan = plan
    let network = MemoryNetwork(time: world.time, random: world.random("network"))
    self.network = network
    nodes = (0..<plan.nodes).map {
      SimulatedNode(number: $0 + 1, world: world, network: network)
    }
  }

  /// The network suffers these faults from now on.
  package func setFaults(_ faults: MemoryFaults) {
    network.setFaults(faults)
  }

  /// Runs the cluster while `body` uses it through a client, from when all nodes are up.
  ///
  /// - Throws: what `body` throws, or what made a server end before.
  package func run<Value: Sendable>(
    _ body: @escaping @Sendable (StoreClient) async throws -> Value
  ) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
      group.addTask {
        try await self.serveDirectory()
        return nil
      }
      for node in nodes {
        node.start()
        group.addTask {
          try await node.run(directory: self.directory)
          return nil
        }
      }
      group.addTask {
        try await self.withClient("client") { client in
          try await self.waitForNodes(self.nodes.count, client)
          return try await body(client)
        }
      }
      while let ended = try await group.next() {
        guard let value = ended else { continue }
        group.cancelAll()
        return value
      }
      throw StoreError(.internal, "the simulated cluster ended by itself")
    }
  }

  /// Runs `body` with another client, with connections of its own.
  package func withClient<Value: Sendable>(
    _ name: String, _ body: @Sendable (StoreClient) async throws -> Value
  ) async throws -> Value {
    try await withStoreClient(
      directory: directory,
      transport: SimulatedTransport(host: name, network: network, trace: world.trace),
      time: world.time, random: world.random(name), logger: world.logger(name),
      configuration: plan.client, body)
  }

  /// Waits until so many nodes are up, for a minute at most.
  ///
  /// - Throws: `StoreError.unavailable` when they don't come up.
  package func waitForNodes(_ wanted: Int, _ client: StoreClient) async throws {
    for _ in 0..<600 {
      // The Directory may not listen yet.
      let up = try? await client.nodes().count { $0.state == .up }
      if up == wanted { return }
      try await world.time.sleep(until: world.time.now.advanced(by: .milliseconds(100)))
    }
    throw StoreError(.unavailable, "\(wanted) nodes did not come up in a minute")
  }

  private func serveDirectory() async throws {
    let random = world.random("directory")
    let store = try SQLiteMetadataStore(
      .memory, executors: [world.executor.serialExecutor],
      clusterBits: (random.next(), random.next()))
    var configuration = DirectoryConfiguration()
    configuration.chunkBytes = plan.chunkBytes
    let service = try await DirectoryServer(
      store: store, time: world.time, random: random, logger: world.logger("directory"),
      configuration: configuration)
    let server = RPCServer(
      router: Router([service]),
      transport: SimulatedTransport(host: "directory", network: network, trace: world.trace),
      address: directory, time: world.time)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await service.run() }
      group.addTask { try await server.run() }
      try await group.waitForAll()
    }
  }
}

extension Simulation.World {
  /// A logger whose lines go into the trace.
  func logger(_ source: String) -> Logger {
    Logger(label: source) { _ in TraceLogHandler(source: source, trace: trace) }
  }
}
