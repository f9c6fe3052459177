import NIOCore
import RPC
import RPCServices
import RPCTestSuite
import Schema
import StoreProtocol
import Testing

/// Runs a server of the standard services over memory, with one of its own.
func withStandardServer(
  _ body: @escaping @Sendable (RPCServer, any CallChannel, Signals) async throws -> Void
) async throws {
  let transport = MemoryTransport()
  let time = SystemTimeSource()
  let monitor = ServerMonitor()
  let signals = Signals()
  var router = Router()
  router.unary(NodeMethods.getNodeStatus) { _, _ in
    signals.send("begun")
    await signals.wait("release")
    return GetNodeStatusResponse()
  }
  router.addStandardServices(files: [.holdfastV1Node], monitor: monitor)
  let server = RPCServer(
    router: router, transport: transport, address: Address("here:0"), time: time,
    monitor: monitor)
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { try await server.run() }
    let place = try await server.listeningAddress
    try await withChannel(
      to: place, transport: transport, time: time, random: SystemRandomSource()
    ) { channel in
      try await body(server, channel, signals)
    }
    signals.send("release")
    server.shutdown(grace: .seconds(1))
    try await group.waitForAll()
  }
}

@Suite("The standard services")
struct StandardServicesTests {
  @Test("health: serving until the server is told to stop, and the watcher hears of it")
  func health() async throws {
    try await withStandardServer { server, channel, _ in
      let health = HealthClient(channel)
      #expect(try await health.check(HealthCheckRequest()).status == .serving)
      let own = HealthCheckRequest(service: "holdfast.rpc.Debug")
      let unknown = await #expect(throws: RPCError.self) { _ = try await health.check(own) }
      #expect(unknown?.code == .notFound)
      let seen = try await health.watch(HealthCheckRequest()) { responses in
        var seen: [HealthCheckResponse.ServingStatus] = []
        while let response = try await responses.next() {
          seen.append(response.status)
          if seen.count == 1 { server.shutdown(grace: .seconds(30)) }
        }
        return seen
      }
      #expect(seen == [.serving, .notServing])
    }
  }

  @Test("health: watching a service that isn't there says so")
  func healthOfNothing() async throws {
    try await withStandardServer { _, channel, _ in
      let first = try await HealthClient(channel).watch(HealthCheckRequest(service: "none")) {
        try await $0.next()?.status
      }
      #expect(first == .serviceUnknown)
    }
  }

  @Test("reflection: every service with every schema that it needs")
  func reflection() async throws {
    try await withStandardServer { _, channel, _ in
      let schemas = try await ServerSchemas.fetch(from: channel)
      #expect(
        schemas.services == [
          "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "holdfast.rpc.Debug",
        ])
      let names = Set(schemas.files.compactMap(\.name))
      #expect(
        names.isSuperset(of: ["holdfast/rpc/debug.proto", "google/protobuf/descriptor.proto"]))
      #expect(names.count == schemas.files.count)
    }
  }

  @Test("reflection: files and symbols are found, others are errors that leave the call going")
  func lookups() async throws {
    try await withStandardServer { _, channel, _ in
      try await ServerReflectionClient(channel).serverReflectionInfo { requests, responses in
        func ask(
          _ question: ServerReflectionRequest.OneOf_MessageRequest?
        ) async throws -> ServerReflectionResponse {
          try await requests.write(ServerReflectionRequest(messageRequest: question))
          return try #require(await responses.next())
        }
        for symbol in [
          "holdfast.v1.Node", "holdfast.v1.Node.PutChunk", "holdfast.v1.PutChunkRequest",
        ] {
          let answer = try await ask(.fileContainingSymbol(symbol))
          guard case .fileDescriptorResponse(let files)? = answer.messageResponse,
            let first = files.fileDescriptorProto.first
          else {
            Issue.record("no file for \(symbol)")
            continue
          }
          let file = try Google_Protobuf_FileDescriptorProto(encodedBytes: first)
          #expect(file.name == "holdfast/v1/node.proto")
        }
        let questions: [(ServerReflectionRequest.OneOf_MessageRequest?, StatusCode)] = [
          (.fileContainingSymbol("none"), .notFound), (.fileByFilename("none"), .notFound),
          (.allExtensionNumbersOfType("x"), .unimplemented), (nil, .invalidArgument),
        ]
        for (question, code) in questions {
          guard case .errorResponse(let error)? = try await ask(question).messageResponse else {
            Issue.record("no error for \(String(describing: question))")
            continue
          }
          #expect(error.errorCode == Int32(code.rawValue))
        }
        try await requests.finish()
      }
    }
  }

  @Test("debug: connections with their calls, bytes and windows")
  func debug() async throws {
    try await withStandardServer { _, channel, signals in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          _ = try await NodeClient(channel).getNodeStatus(
            GetNodeStatusRequest(), options: CallOptions(timeout: .seconds(60)))
        }
        await signals.wait("begun")
        let report = try await DebugClient(channel).getConnections(GetConnectionsRequest())
        #expect(!report.draining && report.connections.count == 1)
        let connection = try #require(report.connections.first)
        #expect(connection.number == 1 && connection.callsBegun == 2 && connection.callCount == 2)
        #expect(connection.bytesReceived > 0 && connection.bytesSent > 0)
        #expect(connection.sendWindow > 0 && connection.receiveWindow > 0)
        let call = try #require(connection.calls.first)
        #expect(call.method == "/holdfast.v1.Node/GetNodeStatus" && call.stream == 1)
        #expect((1...60_000_000).contains(call.timeLeftUs) && !call.isWriteBlocked)
        #expect(
          call.ageUs <= 60_000_000 - call.timeLeftUs, "its age and what is left are its deadline")
        signals.send("release")
        try await group.waitForAll()
      }
    }
  }
}
