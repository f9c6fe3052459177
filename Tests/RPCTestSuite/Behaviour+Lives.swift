internal import RPC
internal import Schema
internal import StoreProtocol

// Servers and connections that come and go.

extension Behaviour {
  static let lives: [Behaviour] = [
    Behaviour("a channel finds a server that came back") { transport, address in
      let time = SystemTimeSource()
      var configuration = ConnectionConfiguration()
      configuration.firstBackoff = .milliseconds(1)
      configuration.longestBackoff = .milliseconds(5)
      let fixed = try await freeAddress(transport, address)
      try await withChannel(
        to: fixed, transport: transport, time: time, random: SystemRandomSource(),
        configuration: configuration
      ) { channel in
        let kinds = Kinds(channel: channel)
        try await expectError(.unavailable) { _ = try await kinds.call("nobody") }
        for round in 0..<3 {
          try await withThrowingTaskGroup(of: Void.self) { group in
            let server = RPCServer(
              router: Kinds.router(Signals()), transport: transport, address: fixed, time: time)
            group.addTask { try await server.run() }
            _ = try await server.listeningAddress
            let answer = try await until { try await kinds.call("round \(round)") }
            try expect(answer.text == "round \(round)", answer.text)
            server.shutdown()
            try await group.waitForAll()
          }
        }
      }
    },
    Behaviour("a channel tells whether it has a connection") { transport, address in
      let time = SystemTimeSource()
      let fixed = try await freeAddress(transport, address)
      let last = try await withChannel(
        to: fixed, transport: transport, time: time, random: SystemRandomSource()
      ) { channel in
        let kinds = Kinds(channel: channel)
        try await withThrowingTaskGroup(of: Void.self) { group in
          let server = RPCServer(
            router: Kinds.router(Signals()), transport: transport, address: fixed, time: time)
          group.addTask { try await server.run() }
          _ = try await server.listeningAddress
          try await expectConnectivity(.idle, channel)
          _ = try await kinds.call("hello")
          try await expectConnectivity(.ready, channel)
          server.shutdown()
          try await expectConnectivity(.idle, channel)
          try await group.waitForAll()
        }
        try await expectError(.unavailable) { _ = try await kinds.call("nobody") }
        try await expectConnectivity(.transientFailure, channel)
        return channel.connectivity
      }
      var states: [Connectivity] = []
      for await state in last { states.append(state) }
      try expect(states == [.shutdown], "\(states)")
    },
    Behaviour("cancelling a server ends its calls") { transport, address in
      let signals = Signals()
      let time = SystemTimeSource()
      let server = RPCServer(
        router: Kinds.router(signals), transport: transport, address: address, time: time)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          await withTaskGroup(of: Void.self) { serving in
            serving.addTask { try? await server.run() }
            await signals.wait("enough")
            serving.cancelAll()
          }
        }
        let place = try await server.listeningAddress
        try await withChannel(
          to: place, transport: transport, time: time, random: SystemRandomSource()
        ) { channel in
          async let answer = expectError(.unavailable) {
            _ = try await Kinds(channel: channel).call("wait")
          }
          await signals.wait("waits")
          signals.send("enough")
          _ = try await answer
        }
        try await group.waitForAll()
      }
      await signals.wait("cancelled")
    },
  ]

  /// An address where nobody listens just now, and that stays the same.
  static func freeAddress(
    _ transport: any Transport, _ address: Address
  ) async throws -> Address {
    let listener = try await transport.listen(on: address)
    listener.close()
    // It is free when the listener says that nothing comes any more.
    while try await listener.accept() != nil {}
    return listener.address
  }

  /// Returns once the channel is in a state.
  static func expectConnectivity(_ state: Connectivity, _ channel: any CallChannel) async throws {
    for await now in channel.connectivity where now == state { return }
    throw Unexpected(description: "the channel never was \(state)")
  }

  /// Tries again while the server isn't there.
  private static func until<Result>(_ body: () async throws -> Result) async throws -> Result {
    while true {
      do {
        return try await body()
      } catch let error as RPCError where error.code == .unavailable {
        await Task.yield()
      }
    }
  }
}
