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
    Behaviour("an idle connection is closed by either side, and the next call makes another") {
      transport, address in
      var never = ConnectionConfiguration()
      never.idleTimeout = nil
      var soon = never
      soon.idleTimeout = .milliseconds(5)
      for (server, client) in [(never, soon), (soon, never)] {
        try await withServer(transport, address, configuration: server, client: client) {
          _, channel in
          for number in 0..<3 {
            let answer = try await Kinds(channel: channel).call("\(number)")
            try expect(answer.text == "\(number)", answer.text)
            try await expectConnectivity(.idle, channel)
          }
        }
      }
    },
    Behaviour("a connection with a call isn't idle") { transport, address in
      var soon = ConnectionConfiguration()
      soon.idleTimeout = .milliseconds(1)
      let (configuration, signals) = (soon, Signals())
      try await withServer(transport, address, configuration: soon, signals: signals) {
        server, channel in
        async let held = Kinds(channel: channel).call("hold")
        await signals.wait("holds")
        // Meanwhile other connections come and go for idleness.
        try await withChannel(
          to: server.listeningAddress, transport: transport, time: SystemTimeSource(),
          random: SystemRandomSource(), configuration: configuration
        ) { other in
          for _ in 0..<5 {
            _ = try await Kinds(channel: other).call("hello")
            try await expectConnectivity(.idle, other)
          }
        }
        signals.send("release")
        let answer = try await held
        try expect(answer.text == "held", answer.text)
      }
    },
    Behaviour("calls that begin while a connection is closed for idleness aren't lost") {
      transport, address in
      // Not shorter: a call that finds several connections in a row closed before it could use them is
      // given up, and on a busy machine a moment is soon over.
      var soon = ConnectionConfiguration()
      soon.idleTimeout = .milliseconds(10)
      let time = SystemTimeSource()
      try await withServer(transport, address, configuration: soon) { _, channel in
        for number in 0..<60 {
          let answer = try await Kinds(channel: channel).call("\(number)")
          try expect(answer.text == "\(number)", answer.text)
          // Pauses around those after which a side finds the connection idle: one to two timeouts.
          try await time.sleep(until: time.now.advanced(by: .microseconds(9_000 + number * 200)))
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
