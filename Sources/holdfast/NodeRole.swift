import ChunkStore
import Logging
import NodeServer
import RPC
import RPCNIO
import StoreModel

/// A node with its disks and its port.
struct NodeRole: ServerRole {
  private let store: DiskSet
  private let node: NodeServer

  /// Opens the data directories, or makes them.
  ///
  /// - Throws: `StoreError` that says what is wrong with it.
  init(
    data: [String], configuration: NodeConfiguration, transport: NIOTransport, logger: Logger
  ) async throws {
    let random = SystemRandomSource()
    let time = SystemTimeSource()
    store = try await DiskSet.open(
      data.map(Self.member), clock: StoreClock(time), drawNode: { NodeID(max(1, random.next())) },
      random: { random.next() })
    node = NodeServer(
      store: store, transport: transport, configuration: configuration, time: time,
      random: random, logger: logger, interceptors: Self.interceptors(logger, time))
  }

  /// A data directory; one of a disk that is broken is for the others to do without.
  private static func member(_ path: String) -> DiskSet.Member {
    do throws(StoreError) {
      return DiskSet.Member(path: path, disk: try FileDisk(root: path))
    } catch {
      return DiskSet.Member(path: path, failure: error)
    }
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
