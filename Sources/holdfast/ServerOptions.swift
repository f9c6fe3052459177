import ArgumentParser
import Logging
import RPC
import RPCObservability
import ServiceLifecycle
import UnixSignals

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What every server takes.
struct ServerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What to log on standard error: trace, debug, info, notice, warning or error.",
      valueName: "level"), transform: parseLogLevel)
  var logLevel: Logger.Level?

  @Flag(help: "Print the line that says where the server listens as JSON.")
  var json = false

  @OptionGroup var tls: TLSOptions

  /// A logger to standard error.
  func logger(_ label: String, standard level: Logger.Level = .info) -> Logger {
    var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = logLevel ?? level
    return logger
  }

  /// Says that a server is ready: the one line on standard output. Nobody waits for it where that is
  /// closed, as with servers that are started without a terminal, and the server serves.
  func announce(_ server: String, _ address: Address, data: String, more: JSON? = nil) {
    guard OpenDescriptor.isWritable(STDOUT_FILENO) else { return }
    let line =
      json
      ? JSON.of([
        "event": .string("ready"), "server": .string(server),
        "address": .string(address.description), "data": .string(data), "nodes": more ?? .null,
      ]).text
      : "holdfast \(server) listening on \(address)"
    StandardOutput.shared.line(line)
    StandardOutput.shared.flush()
  }

  /// Runs a server until SIGTERM or SIGINT, then stops it cleanly.
  ///
  /// - Throws: what keeps the server from running.
  func run(_ service: any ServiceLifecycle.Service, logger: Logger) async throws {
    var quiet = logger
    quiet.logLevel = .error
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [
          .init(
            service: service, successTerminationBehavior: .gracefullyShutdownGroup,
            failureTerminationBehavior: .cancelGroup)
        ], gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
    try await group.run()
  }
}

extension ConnectionConfiguration {
  /// What a server's connections take where the system limits the process: what others connect must leave files
  /// for its own work, and room for newcomers is only made at the server's own limit.
  static func withinFileLimit() -> ConnectionConfiguration {
    var configuration = ConnectionConfiguration()
    if let files = raiseFileLimit() {
      configuration.maxConnections = min(
        configuration.maxConnections, mostConnections(files: files))
    }
    return configuration
  }

  /// How many connections a process may have that may have so many open files.
  static func mostConnections(files: Int) -> Int {
    max(files - min(512, files / 2), 1)
  }
}

/// Lets the process have as many files and connections as the system allows it: the usual 1,024 are soon used up.
///
/// - Returns: how many; nil where that isn't known.
private func raiseFileLimit() -> Int? {
  #if canImport(Glibc)
    let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
  #else
    let files = RLIMIT_NOFILE
  #endif
  var limit = rlimit()
  guard getrlimit(files, &limit) == 0 else { return nil }
  if limit.rlim_cur < limit.rlim_max {
    var raised = limit
    raised.rlim_cur = limit.rlim_max
    // Without it the server serves fewer: no reason not to start.
    if setrlimit(files, &raised) == 0 { limit = raised }
  }
  return Int(clamping: limit.rlim_cur)
}

private func parseLogLevel(_ text: String) throws -> Logger.Level {
  guard let level = Logger.Level(rawValue: text) else {
    let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
    throw ValidationError("there is no log level '\(text)'; the levels are \(names)")
  }
  return level
}

/// A server as the command runs it: until it fails or is told to stop.
protocol ServerRole: Sendable {
  /// Where it listens, once it does.
  var listeningAddress: Address { get async throws }
  /// Serves until `stop`, or until the task is cancelled.
  func run() async throws
  /// Lets what is under way finish and ends `run`. Returns at once.
  func stop()
}

extension ServerRole {
  /// What stands before a server's methods: at the levels `debug` and `trace` each call is logged.
  static func interceptors(_ logger: Logger, _ time: any TimeSource) -> [any ServerInterceptor] {
    logger.logLevel <= .debug ? [CallLogging(logger, time: time)] : []
  }
}

/// Runs roles for `ServiceGroup`: says when all of them listen, stops them when the group stops.
struct RoleService: ServiceLifecycle.Service {
  /// Run together; stopped in this order, each after the one before has ended.
  let roles: [any ServerRole]
  /// Called once with the roles' addresses when all of them listen.
  let ready: @Sendable ([Address]) async throws -> Void

  func run() async throws {
    let stops = roles.indices.map { _ in AsyncStream.makeStream(of: Void.self) }
    try await withGracefulShutdownHandler {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (place, role) in roles.enumerated() {
          group.addTask {
            defer { if place + 1 < stops.count { stops[place + 1].continuation.finish() } }
            try await withThrowingTaskGroup(of: Void.self) { group in
              group.addTask { try await role.run() }
              group.addTask {
                for await _ in stops[place].stream {}
                role.stop()
              }
              try await group.next()
              stops[place].continuation.finish()
              try await group.waitForAll()
            }
          }
        }
        group.addTask {
          var addresses: [Address] = []
          for role in roles { addresses.append(try await role.listeningAddress) }
          try await ready(addresses)
        }
        // The first that fails ends the others, and who waits for them to be ready.
        while try await group.next() != nil {}
      }
    } onGracefulShutdown: {
      stops[0].continuation.finish()
    }
  }
}
