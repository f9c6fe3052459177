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

  /// Opens the data directories, or makes them; in `scrubDays` days everything in them is verified once.
  ///
  /// - Throws: `StoreError` that says what is wrong with it.
  init(
    data: [String], scrubDays: Int = NodeRole.scrubDays, configuration: NodeConfiguration,
    transport: NIOTransport, logger: Logger
  ) async throws {
    var storage = SegmentStore.Configuration()
    storage.scrubDeadline = .seconds(scrubDays * 24 * 3_600)
    let random = SystemRandomSource()
    let time = SystemTimeSource()
    store = try await DiskSet.open(
      data.map(Self.member), clock: StoreClock(time), configuration: storage,
      drawNode: { NodeID(max(1, random.next())) }, random: { random.next() })
    node = NodeServer(
      store: store, transport: transport, configuration: configuration, time: time,
      random: random, logger: logger, interceptors: Self.interceptors(logger, time))
  }

  /// The days in which everything is verified once, where nothing else is said.
  static let scrubDays = 14

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
