import ArgumentParser
import RPC
import RPCNIO
import RPCTLS

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The files that secure connections: what every command takes.
struct TLSOptions: ParsableArguments {
  /// What a command does with its connections.
  enum Role {
    /// It connects.
    case client
    /// It listens.
    case server
    /// It does both, and both in the same way.
    case peer
  }

  @Option(
    help: ArgumentHelp(
      "Show this certificate (PEM): a server serves TLS alone then. Also HOLDFAST_TLS_CERT.",
      valueName: "file"))
  var tlsCert: String?

  @Option(
    help: ArgumentHelp(
      "The certificate's private key (PEM). Also HOLDFAST_TLS_KEY.", valueName: "file"))
  var tlsKey: String?

  @Option(
    help: ArgumentHelp(
      """
      Trust the certificates of these authorities (PEM): a client connects by TLS then, a server takes \
      only clients with such a certificate. Also HOLDFAST_TLS_CA.
      """, valueName: "file"))
  var tlsCa: String?

  /// The files, from the command line or the environment.
  var files: TLSFiles {
    TLSFiles(
      certificate: tlsCert ?? Self.environment("HOLDFAST_TLS_CERT"),
      key: tlsKey ?? Self.environment("HOLDFAST_TLS_KEY"),
      authorities: tlsCa ?? Self.environment("HOLDFAST_TLS_CA"))
  }

  /// The network as the flags say; plain without any.
  ///
  /// - Throws: `CommandFailure` when the flags don't fit the command or each other, or when a file is
  ///   wrong.
  func transport(_ role: Role) throws -> NIOTransport {
    let files = files
    guard files != TLSFiles() else { return NIOTransport() }
    guard (files.certificate == nil) == (files.key == nil) else {
      throw CommandFailure(.usage, "--tls-cert and --tls-key go together")
    }
    if role != .client, files.certificate == nil {
      throw CommandFailure(.usage, "a server that trusts --tls-ca has --tls-cert and --tls-key too")
    }
    if role != .server, files.authorities == nil {
      throw CommandFailure(.usage, "--tls-cert needs --tls-ca: whom to trust when connecting")
    }
    return try NIOTransport(tls: files)
  }

  private static func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
  }
}
