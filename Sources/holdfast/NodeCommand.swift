import ArgumentParser
import NodeServer
import RPC

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// `holdfast node`.
struct NodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "node", abstract: "Run a node: a server that stores files' bytes.",
    discussion: """
      The node registers with the Directory and is given chunks to store. Started again on the same \
      data directory it is the same node, wherever it listens then. It waits for a Directory that \
      isn't there yet. 'holdfast store add-disk' adds a disk to a node that has some.

        holdfast node --data /var/lib/holdfast/node --directory 10.0.0.1:7400 \\
          --listen 10.0.0.2:7401 --zone rack-2
        holdfast node --data /disk1/holdfast --data /disk2/holdfast --directory 10.0.0.1:7400

      Prints one line when it is ready, logs on standard error, and stops cleanly on SIGTERM and SIGINT.
      """)

  @Option(
    help: ArgumentHelp(
      "The data directory. Give it once for each disk of the node.", valueName: "dir"))
  var data: [String] = []

  @Option(
    help: ArgumentHelp(
      "Where the Directory listens. Also HOLDFAST_DIRECTORY; default: 127.0.0.1:7400.",
      valueName: "host:port"))
  var directory: String?

  @Option(
    help: ArgumentHelp("Where to listen; port 0 for any; also unix:/PATH.", valueName: "host:port"))
  var listen = "127.0.0.1:0"

  @Option(
    help: ArgumentHelp(
      "Where others reach this node, when that is not where it listens.", valueName: "host:port"))
  var advertise: String?

  @Option(help: "What fails together with this node, such as a rack: copies go to several zones.")
  var zone = ""

  @Option(
    help: ArgumentHelp(
      "In how many days everything that is stored is read and verified once, 1 to 365.",
      valueName: "days"))
  var scrubDays = NodeRole.scrubDays

  @OptionGroup var server: ServerOptions

  func validate() throws {
    guard (1...365).contains(scrubDays) else {
      throw ValidationError("'--scrub-days' takes 1 to 365, not \(scrubDays).")
    }
    guard !data.isEmpty else {
      throw ValidationError("Give the data directory: '--data <dir>', once for each disk.")
    }
    let host = listen.lastIndex(of: ":").map { listen[..<$0] } ?? ""
    if advertise == nil, ["", "*", "0.0.0.0", "::", "[::]"].contains(host) {
      throw ValidationError(
        "Nobody can connect to '\(listen)': say where others reach this node by "
          + "'--advertise <host:port>', or listen at one of its addresses.")
    }
  }

  func run() async throws {
    let logger = server.logger("node")
    var configuration = NodeConfiguration(
      listen: Address(listen), advertise: advertise.map { Address($0) },
      directory: directoryAddress(directory), zone: zone)
    configuration.connection = .withinFileLimit()
    let role = try await NodeRole(
      data: data, scrubDays: scrubDays, configuration: configuration,
      transport: try server.tls.transport(.peer),
      logger: logger)
    try await server.run(
      RoleService(roles: [role]) {
        server.announce("node", $0[0], data: data.joined(separator: ", "))
      }, logger: logger)
  }
}

/// Where the Directory is: as said on the command line, in the environment, or where it is by default.
/// An empty variable counts as none.
func directoryAddress(
  _ option: String?,
  environment: String? = getenv("HOLDFAST_DIRECTORY").map { String(cString: $0) }
) -> Address {
  let variable = environment.flatMap { $0.isEmpty ? nil : $0 }
  return Address(option ?? variable ?? "127.0.0.1:7400")
}
