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
