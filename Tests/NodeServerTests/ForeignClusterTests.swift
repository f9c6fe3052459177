import ChunkStore
import Logging
import RPC
import StoreModel
import Synchronization
import Testing

@testable import NodeServer

/// A node that can't serve ends by itself and says why.
@Suite("A node that can't serve")
struct ForeignClusterTests {
  /// A node on a network where a Directory of the cluster `test-cluster` listens.
  private func node(of cluster: String, on network: MemoryNetwork) async throws -> NodeServer {
    let (time, random) = (SystemTimeSource(), SystemRandomSource())
    let store = try await SegmentStore.open(
      on: MemoryDisk(), clock: StoreClock(time), drawNode: { NodeID(1) }, random: { random.next() })
    try await store.join(cluster: cluster)
    return NodeServer(
      store: store, transport: MemoryTransport(host: "node", network: network),
      configuration: NodeConfiguration(listen: Address("node"), directory: Address("directory")),
      time: time, random: random,
      logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
  }

  @Test(
    "data of another cluster ends the node with what the Directory says", .timeLimit(.minutes(1)))
  func otherCluster() async throws {
    let network = MemoryNetwork()
    let node = try await node(of: "another-cluster", on: network)
    let server = RPCServer(
      router: Router([TestDirectory()]),
      transport: MemoryTransport(host: "directory", network: network),
      address: Address("directory"), time: SystemTimeSource())
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      _ = try await server.listeningAddress
      do {
        try await node.run()
        Issue.record("the node ended as if nothing were wrong")
      } catch let error as RPCError {
        #expect(error.code == .failedPrecondition)
        #expect(error.message.contains("another-cluster"))
      }
      group.cancelAll()
    }
  }

  @Test(
    "a node that was registered outlives a Directory of another cluster in the place of its own",
    .timeLimit(.minutes(1)))
  func laterOtherCluster() async throws {
    let errors = LoggedErrors()
    try await TestCluster.run(nodes: 1, logger: errors.logger) { cluster in
      let directory = cluster.directory
      // The stream of reports ends, and the next Directory is another one.
      let before = directory.state.withLock { state in
        state.cluster = "another-cluster"
        state.endsStreams = true
        return state.registered.count
      }
      await directory.changed.wait {
        directory.state.withLock { $0.registered.count >= before + 2 }
      }
      let message = try #require(errors.messages.first)
      #expect(message.contains("test-cluster") && message.contains("directory"))
      // It serves, and comes back to its own.
      _ = try await cluster.put(pattern(10, seed: 1), upload: 1)
      let reports = directory.state.withLock { state in
        state.cluster = "test-cluster"
        state.endsStreams = false
        return state.reports.count
      }
      await directory.changed.wait {
        directory.state.withLock { $0.reports.count >= reports + 2 }
      }
    }
  }

  @Test("an address in use ends the node", .timeLimit(.minutes(1)))
  func addressInUse() async throws {
    let network = MemoryNetwork()
    let node = try await node(of: "test-cluster", on: network)
    let other = try await MemoryTransport(host: "node", network: network).listen(
      on: Address("node"))
    defer { other.close() }
    #expect(await status { try await node.run() } != nil)
  }
}

/// Keeps what is logged at error level.
private final class LoggedErrors: Sendable {
  private let kept = Mutex<[String]>([])

  var messages: [String] { kept.withLock { $0 } }

  var logger: Logger { Logger(label: "test") { _ in Handler(errors: self) } }

  private struct Handler: LogHandler {
    let errors: LoggedErrors
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .error

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      errors.kept.withLock { $0.append("\(event.message)") }
    }
  }
}
