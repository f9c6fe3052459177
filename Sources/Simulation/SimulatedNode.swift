package import ChunkStore
internal import Logging
internal import NodeServer
package import RPC
internal import StoreModel
internal import Synchronization

/// One node of a simulated cluster: a disk that outlives its processes, and one process at a time.
package final class SimulatedNode: Sendable {
  /// One process of the node, from its start to its death.
  private struct Life: Sendable {
    let number: Int
    let transport: SimulatedTransport
    /// Ends when the process dies.
    let death: AsyncStream<Never>
    let dying: AsyncStream<Never>.Continuation
  }

  private struct State {
    var life: Life?
    var lives = 0
  }

  /// `node-1`, `node-2`...: its host's name and its source in the trace.
  package let name: String
  /// Its disk.
  package let disk = MemoryDisk()
  /// Where it listens.
  package let address: Address

  /// Bytes of its segments: small, so that small files fill some.
  private static let segmentBytes = 1 << 20

  private let world: Simulation.World
  private let network: MemoryNetwork
  private let random: SeededRandom
  private let state = Mutex(State())
  private let lives: AsyncStream<Life>
  private let starting: AsyncStream<Life>.Continuation

  init(number: Int, world: Simulation.World, network: MemoryNetwork) {
    name = "node-\(number)"
    address = Address("node-\(number):1")
    self.world = world
    self.network = network
    random = world.random("node-\(number)")
    (lives, starting) = AsyncStream.makeStream(of: Life.self)
  }

  /// Starts a process, when the one before it is gone.
  package func start() {
    let (death, dying) = AsyncStream.makeStream(of: Never.self)
    let life = state.withLock { state in
      state.lives += 1
      let life = Life(
        number: state.lives,
        transport: SimulatedTransport(host: name, network: network, trace: world.trace),
        death: death, dying: dying)
      state.life = life
      return life
    }
    starting.yield(life)
  }

  /// Cuts the power: connections break, what was not synced is lost in part, as the seed decides, and
  /// nothing that still runs reaches the disk or the network.
  package func crash() {
    let life = state.withLock { state in
      defer { state.life = nil }
      return state.life
    }
    guard let life else { return }
    world.trace.note(name, "dies")
    life.transport.die()
    disk.crash { _ in random.next(below: 2) == 0 }
    disk.injectFaults { _ in StoreError(.internal, "this machine is down") }
    life.dying.finish()
  }

  /// Runs the processes that are started, one after the other, until the task is cancelled.
  ///
  /// - Throws: what made a living process end.
  func run(directory: Address) async throws {
    for await life in lives {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await self.serve(life, directory: directory) }
        group.addTask { for await _ in life.death {} }
        do {
          try await group.next()
        } catch  where isDead(life) {
          // The death was seen by the process before it was seen here.
        }
        group.cancelAll()
        while let ended = await group.nextResult() {
          if case .failure(let error) = ended, !isDead(life), !Task.isCancelled { throw error }
        }
      }
    }
  }

  private func isDead(_ life: Life) -> Bool {
    state.withLock { $0.life?.number != life.number }
  }

  private func serve(_ life: Life, directory: Address) async throws {
    disk.restart()
    world.trace.note(name, "starts, life \(life.number)")
    var configuration = SegmentStore.Configuration()
    configuration.segmentBytes = SimulatedNode.segmentBytes
    let store = try await SegmentStore.open(
      on: disk, clock: StoreClock(world.time), configuration: configuration,
      drawNode: { NodeID(random.next() | 1) }, random: { random.next() })
    let server = NodeServer(
      store: store, transport: life.transport,
      configuration: NodeConfiguration(listen: address, directory: directory, zone: name),
      time: world.time, random: random, logger: world.logger(name))
    try await server.run()
  }
}
