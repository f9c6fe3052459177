package import RPC

/// One thing that calls must do, whatever carries them.
///
/// It gets a transport and an address where nobody listens yet, and throws `Unexpected` when what it
/// sees isn't what must be. Test targets run all of them over their transport.
package struct Behaviour: Sendable, CustomStringConvertible {
  /// What must be so, as a sentence.
  package let description: String
  /// Tries it.
  package let run: @Sendable (any Transport, Address) async throws -> Void

  /// Names and defines a behaviour.
  init(
    _ description: String, _ run: @escaping @Sendable (any Transport, Address) async throws -> Void
  ) {
    self.description = description
    self.run = run
  }

  /// A behaviour of one server and a channel to it.
  init(
    _ description: String, configuration: ConnectionConfiguration = ConnectionConfiguration(),
    _ run: @escaping @Sendable (Kinds) async throws -> Void
  ) {
    self.init(description) { transport, address in
      try await withServer(transport, address, configuration: configuration) { _, channel in
        try await run(Kinds(channel: channel))
      }
    }
  }

  /// Every behaviour.
  package static let all: [Behaviour] =
    kinds + errors + endings + bodies + flow + lives + drains + attempts
}

/// What was seen isn't what must be.
package struct Unexpected: Error, CustomStringConvertible {
  /// What was seen.
  package let description: String
}

/// Stops a behaviour whose condition doesn't hold.
func expect(_ condition: Bool, _ text: @autoclosure () -> String) throws {
  guard condition else { throw Unexpected(description: text()) }
}

/// Stops a behaviour unless `body` fails with a code; returns the error.
@discardableResult
func expectError(
  _ code: StatusCode, _ body: @Sendable () async throws -> Void
) async throws -> RPCError {
  do {
    try await body()
  } catch let error as RPCError {
    try expect(error.code == code, "\(error) instead of \(code)")
    return error
  }
  throw Unexpected(description: "success instead of \(code)")
}

/// Runs a server of the test's methods and a channel to it for as long as `body` runs.
func withServer(
  _ transport: any Transport, _ address: Address,
  configuration: ConnectionConfiguration = ConnectionConfiguration(),
  client: ConnectionConfiguration? = nil, signals: Signals = Signals(),
  _ body: @escaping @Sendable (RPCServer, any CallChannel) async throws -> Void
) async throws {
  let time = SystemTimeSource()
  let server = RPCServer(
    router: Kinds.router(signals), transport: transport, address: address, time: time,
    configuration: configuration)
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { try await server.run() }
    let place = try await server.listeningAddress
    try await withChannel(
      to: place, transport: transport, time: time, random: SystemRandomSource(),
      configuration: client ?? configuration
    ) { channel in
      try await body(server, channel)
    }
    server.shutdown(grace: .seconds(1))
    try await group.waitForAll()
  }
}
