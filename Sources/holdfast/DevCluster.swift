import Logging
import NodeServer
import RPC
import RPCNIO

/// A Directory and its nodes as one role: the nodes start when the Directory listens, and leave before it
/// stops.
struct DevCluster: ServerRole {
  let directory: DirectoryRole
  let nodeCount: Int
  let data: String
  let transport: NIOTransport
  let options: ServerOptions
  private let stopping = AsyncStream.makeStream(of: Void.self)

  /// Sets the cluster up; nothing happens before `run`.
  init(
    directory: DirectoryRole, nodeCount: Int, data: String, transport: NIOTransport,
    options: ServerOptions
  ) {
    self.directory = directory
    self.nodeCount = nodeCount
    self.data = data
    self.transport = transport
    self.options = options
  }

  var listeningAddress: Address {
    get async throws { try await directory.listeningAddress }
  }

  func run() async throws {
    // What fails ends the rest: a cluster that lacks a part isn't what was asked for.
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await directory.run() }
      group.addTask {
        try await runNodes(directory: try await directory.listeningAddress)
        directory.stop()
      }
      while try await group.next() != nil {}
    }
  }

  func stop() {
    stopping.continuation.finish()
  }

  /// Where a node listens: at the Directory's host, or on a Unix socket beside its.
  private static func place(of node: Int, beside directory: Endpoint) -> Address {
    let endpoint: Endpoint =
      switch directory {
      case .tcp(let host, _): .tcp(host: host, port: 0)
      case .unix(let path): .unix(path: "\(path).node-\(node)")
      }
    return Address(endpoint.description)
  }

  private func runNodes(directory address: Address) async throws {
    var opened: [NodeRole] = []
    for number in 1...nodeCount {
      opened.append(
        try await NodeRole(
          data: ["\(data)/node-\(number)"],
          configuration: NodeConfiguration(
            listen: Self.place(of: number, beside: try Endpoint(address)), directory: address),
          transport: transport, logger: options.logger("node-\(number)", standard: .warning)))
    }
    let nodes = opened
    try await withThrowingTaskGroup(of: Void.self) { group in
      for node in nodes { group.addTask { try await node.run() } }
      group.addTask {
        for await _ in stopping.stream {}
        for node in nodes { node.stop() }
      }
      while try await group.next() != nil {}
    }
  }
}
