import ArgumentParser
import RPC

/// `holdfast directory`.
struct DirectoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "directory", abstract: "Run the Directory server.",
    discussion: """
      The Directory keeps the registry of nodes and knows where every file is. Its database is in the \
      data directory, which is made when it isn't there.

        holdfast directory --data /var/lib/holdfast/directory

      Prints one line when it is ready, logs on standard error, and stops cleanly on SIGTERM and SIGINT.
      """)

  @Option(help: ArgumentHelp("The data directory.", valueName: "dir"))
  var data: String

  @Option(
    help: ArgumentHelp("Where to listen; port 0 for any; also unix:/PATH.", valueName: "host:port"))
  var listen = "127.0.0.1:7400"

  @OptionGroup var server: ServerOptions

  func run() async throws {
    let logger = server.logger("directory")
    let role = try await DirectoryRole(
      data: data, listen: Address(listen), transport: try server.tls.transport(.server),
      logger: logger)
    try await server.run(
      RoleService(roles: [role]) { server.announce("directory", $0[0], data: data) },
      logger: logger)
  }
}
