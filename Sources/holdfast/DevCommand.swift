import ArgumentParser
import Logging
import NodeServer
import RPC
import RPCNIO
import StoreClient

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// `holdfast dev`.
struct DevCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dev", abstract: "Run a whole cluster in one process, for trying things.",
    discussion: """
      Starts a Directory and some nodes; Ctrl-C stops them cleanly. Started again on the same directory \
      it has everything.

        holdfast dev
        holdfast dev --nodes 5 --data /tmp/try --listen 127.0.0.1:7500

      Without --data the files are in $XDG_DATA_HOME/holdfast-dev or ~/.local/share/holdfast-dev.
      """)

  /// More nodes in one process teach nothing more.
  private static let maxNodes = 64
  /// How long the nodes may take to be heard by the Directory.
  private static let registrationPatience = Duration.seconds(15)

  @Option(help: "How many nodes, 1 to 64.")
  var nodes = 3

  @Option(help: ArgumentHelp("Where everything is kept.", valueName: "dir"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "Where the Directory listens; port 0 for any; also unix:/PATH.", valueName: "host:port"))
  var listen = "127.0.0.1:7400"

  @OptionGroup var server: ServerOptions

  func validate() throws {
    guard (1...Self.maxNodes).contains(nodes) else {
      throw ValidationError("--nodes must be 1 to \(Self.maxNodes)")
    }
  }

  func run() async throws {
    let data = data ?? Self.standardDirectory()
    let logger = server.logger("dev", standard: .warning)
    StandardError.line(
      "holdfast: \(nodes) \(nodes == 1 ? "node" : "nodes") and a Directory, data in \(data)")
    let transport = try server.tls.transport(.peer)
    let directory = try await DirectoryRole(
      data: data + "/directory", listen: Address(listen), transport: transport,
      logger: server.logger("directory", standard: .warning))
    // The nodes need the Directory's port, which is known once it listens.
    let cluster = DevCluster(
      directory: directory, nodeCount: nodes, data: data, transport: transport, options: server)
    try await server.run(
      RoleService(roles: [cluster]) { addresses in
        try await waitForNodes(at: addresses[0], transport: transport, logger: logger)
        server.announce(
          "dev", addresses[0], data: data, more: .number(UInt64(nodes)))
      }, logger: logger)
  }

  /// Waits until the Directory has heard every node, so that the first write finds them.
  private func waitForNodes(
    at address: Address, transport: NIOTransport, logger: Logger
  ) async throws {
    let time = SystemTimeSource()
    let deadline = time.now.advanced(by: Self.registrationPatience)
    try await withStoreClient(directory: address, transport: transport, logger: logger) { client in
      while try await client.status().nodesUp < nodes {
        guard time.now < deadline else {
          throw CommandFailure(.unavailable, "the nodes did not register in time; see the log")
        }
        try await time.sleep(until: time.now.advanced(by: .milliseconds(20)))
      }
    }
  }

  private static func standardDirectory() -> String {
    if let data = getenv("XDG_DATA_HOME").map({ String(cString: $0) }), !data.isEmpty {
      return data + "/holdfast-dev"
    }
    if let home = getenv("HOME").map({ String(cString: $0) }), !home.isEmpty {
      return home + "/.local/share/holdfast-dev"
    }
    return "/tmp/holdfast-dev"
  }
}
