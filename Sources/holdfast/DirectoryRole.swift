import DirectoryServer
import Foundation
import Logging
import MetadataStore
import RPC
import RPCNIO
import RPCServices
import StoreModel
import StoreProtocol

/// The Directory with its database and its port.
struct DirectoryRole: ServerRole {
  /// Database connections that only read.
  private static let readers = 2

  private let store: SQLiteMetadataStore
  private let directory: DirectoryServer
  private let server: RPCServer

  /// Opens the data directory, or makes it.
  ///
  /// - Throws: `StoreError` that says what is wrong with it.
  init(data: String, listen: Address, transport: NIOTransport, logger: Logger) async throws {
    guard !FileManager.default.fileExists(atPath: "\(data)/segments") else {
      throw StoreError(
        .preconditionFailed,
        "'\(data)' is the data directory of a node: give the Directory one of its own")
    }
    let time = SystemTimeSource()
    let random = SystemRandomSource()
    let executors = (0...Self.readers).map { place in
      DatabaseExecutor(label: place == 0 ? "directory.write" : "directory.read-\(place)")
    }
    store = try SQLiteMetadataStore(
      .directory(data), executors: executors, clusterBits: (random.next(), random.next()))
    if store.isNew {
      logger.notice(
        "made a new, empty cluster", metadata: ["cluster": "\(store.cluster)", "data": "\(data)"])
    }
    let monitor = ServerMonitor()
    directory = try await DirectoryServer(
      store: store, time: time, random: random, logger: logger, monitor: monitor)
    var router = Router([directory])
    router.addStandardServices(files: [.holdfastV1Directory], monitor: monitor)
    server = RPCServer(
      router: router.intercepted(by: Self.interceptors(logger, time)), transport: transport,
      address: listen, time: time, configuration: .withinFileLimit(), monitor: monitor)
  }

  var listeningAddress: Address {
    get async throws { try await server.listeningAddress }
  }

  func run() async throws {
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await directory.run() }
        group.addTask { try await server.run() }
        defer { group.cancelAll() }
        try await group.next()
      }
    } catch {
      await store.close()
      throw error
    }
    await store.close()
  }

  func stop() {
    server.shutdown()
  }
}
