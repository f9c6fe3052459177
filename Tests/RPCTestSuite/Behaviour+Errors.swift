internal import RPC
internal import Schema
internal import StoreProtocol

// How calls fail.

extension Behaviour {
  static let errors: [Behaviour] = [
    Behaviour("an error travels with its message, metadata and details") { kinds in
      let error = try await expectError(.notFound) { _ = try await kinds.call("error") }
      try expect(error.message == "no such thing", error.message)
      try expect(error.metadata["where"] == "here", "\(error.metadata)")
      try expect(error.details.first == Kinds.stranger, "\(error.details)")
      let retries = error.details(of: Google_Rpc_RetryInfo.self)
      try expect(retries.map(\.retryDelay?.seconds) == [3], "\(retries)")
      let echoes = error.details(of: EchoRequest.self)
      try expect(echoes == [EchoRequest(payload: [7])], "\(echoes)")
      try expect(error.details(of: Google_Rpc_Help.self).isEmpty, "help from nowhere")
    },
    Behaviour("an error that is too long travels as far as there is room") { kinds in
      let error = try await expectError(.aborted) { _ = try await kinds.call("verbose") }
      try expect(error.message == String(repeating: "ä", count: 4_096), "\(error.message.count)")
      let count = error.details(of: Google_Rpc_DebugInfo.self).count
      try expect((10..<100).contains(count) && error.details.count == count, "\(count) details")
      _ = try await kinds.call("still there")
    },
    Behaviour("an error goes to a caller that takes little", configuration: terse) { kinds in
      let error = try await expectError(.aborted) { _ = try await kinds.call("verbose") }
      try expect(error.message == String(repeating: "ä", count: 256), "\(error.message.count)")
      try expect(error.metadata.entries.isEmpty && error.details.isEmpty, "more than there is room")
      let short = try await expectError(.notFound) { _ = try await kinds.call("error") }
      try expect(short.details.count == 3, "\(short.details)")
    },
    Behaviour("a foreign error is unknown to the caller") { kinds in
      let error = try await expectError(.unknown) { _ = try await kinds.call("foreign") }
      try expect(!error.message.contains("Foreign"), error.message)
    },
    Behaviour("a method that nobody serves is unimplemented") { kinds in
      try await expectError(.unimplemented) {
        _ = try await kinds.channel.unary(Kinds.absent, EchoRequest(), options: CallOptions())
      }
      _ = try await kinds.call("still there")
    },
    Behaviour("two requests where one is taken are an invalid argument") { kinds in
      let method = Method<EchoRequest, EchoResponse>(
        service: Kinds.unary.service, name: Kinds.unary.name, kind: .bidirectional)
      try await expectError(.invalidArgument) {
        try await kinds.channel.stream(method, options: CallOptions()) { requests, responses in
          try await requests.write(EchoRequest())
          try await requests.write(EchoRequest())
          try await requests.finish()
          while try await responses.next() != nil {}
        }
      }
    },
    Behaviour("metadata that can't travel is refused where it is given") { kinds in
      try await expectError(.invalidArgument) {
        _ = try await kinds.call("x", options: CallOptions(metadata: ["Upper": "case"]))
      }
    },
    Behaviour("a message larger than the other side takes is refused where it is written") {
      kinds in
      try await expectError(.resourceExhausted) {
        _ = try await kinds.channel.unary(
          Kinds.unary, EchoRequest(payload: [UInt8](repeating: 1, count: 5 << 20)),
          options: CallOptions())
      }
      _ = try await kinds.call("still there")
    },
    Behaviour("a response larger than the caller takes ends the call") { kinds in
      try await expectError(.resourceExhausted) {
        _ = try await kinds.call(
          "x", Body.pattern(100_000), options: CallOptions(maxMessageBytes: 50_000))
      }
      _ = try await kinds.call("still there")
    },
    Behaviour("nobody listening is unavailable and names the address") { transport, address in
      let error = try await expectError(.unavailable) {
        try await withChannel(
          to: address, transport: transport, time: SystemTimeSource(),
          random: SystemRandomSource()
        ) { channel in
          _ = try await Kinds(channel: channel).call("hello")
        }
      }
      try expect(error.message.contains(address.description), error.message)
    },
  ]

  private static var terse: ConnectionConfiguration {
    var configuration = ConnectionConfiguration()
    configuration.maxMetaBytes = 1_024
    return configuration
  }
}
