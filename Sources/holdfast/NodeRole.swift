import ChunkStore
import Logging
import NodeServer
import RPC
import RPCNIO
import StoreModel

/// A node with its chunks and its port.
struct NodeRole: ServerRole {
  private let store: FileChunkStore
  private let node: NodeServer

  /// Opens the data directory, or makes it.
  ///
  /// - Throws: `StoreError` that says what is wrong with it.
  init(
    data: String, configuration: NodeConfiguration, transport: NIOTransport, logger: Logger
  ) async throws {
    let random = SystemRandomSource()
    store = try await FileChunkStore.open(
      on: FileDisk(root: data), drawNode: { NodeID(max(1, random.next())) })
    node = NodeServer(
      store: store, transport: transport, configuration: configuration, time: SystemTimeSource(),
      random: random, logger: logger)
  }

  var listeningAddress: Address {
    get async throws { try await node.listeningAddress }
  }

  func run() async throws {
    do {
      try await node.run()
    } catch {
      await store.close()
      throw error
    }
    await store.close()
  }

  func stop() {
    node.stop()
  }
}
