import NIOCore
import StoreProtocol
import Testing

@testable import RPC

@Suite("What a server keeps in memory for its peers")
struct ServerMemoryTests {
  private static let unary = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "Unary", kind: .unary)
  private static let deaf = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "Deaf", kind: .clientStreaming)

  /// Runs a server with a method that never reads its requests.
  private func withServer(
    _ configuration: ConnectionConfiguration,
    _ body: @escaping @Sendable (MemoryTransport, Address) async throws -> Void
  ) async throws {
    var router = Router()
    router.unary(Self.unary) { request, _ in EchoResponse(payload: request.payload) }
    router.clientStreaming(Self.deaf) { _, context in
      await context.untilCancelled()
      return EchoResponse()
    }
    let transport = MemoryTransport()
    let server = RPCServer(
      router: router, transport: transport, address: Address("server"), time: SystemTimeSource(),
      configuration: configuration)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      try await body(transport, try await server.listeningAddress)
      server.shutdown(grace: .zero)
      try await group.waitForAll()
    }
  }

  @Test("is bounded: the connection that holds the most goes, and the others don't notice")
  func budget() async throws {
    var configuration = ConnectionConfiguration()
    configuration.maxServerHeldBytes = 1 << 20
    try await withServer(configuration) { transport, address in
      try await withChannel(
        to: address, transport: transport, time: SystemTimeSource(), random: SystemRandomSource()
      ) { polite in
        let bytes = try await transport.connect(to: address)
        try await RawPeer.with(bytes) { greedy in
          expect(await greedy.next() != nil)
          greedy.send(Frames.frame(.call, 1, meta: Frames.opening(Self.deaf.path)))
          let message = [UInt8](repeating: 0, count: 60_000)
          for _ in 0..<20 { greedy.send(Frames.frame(.message, 1, .message, message: message)) }
          let last = try #require(await greedy.nextFrame())
          #expect(last.header.type == .error)
          let ending = try CallEnding(decoding: last.meta)
          #expect(ending.code == .resourceExhausted)
          expect(await greedy.next() == nil)
        }
        let answer = try await polite.unary(
          Self.unary, EchoRequest(payload: [7]), options: CallOptions())
        #expect(answer.message.payload == [7])
      }
    }
  }

  @Test("counts frames that aren't whole, and metadata")
  func unseen() async throws {
    var configuration = ConnectionConfiguration()
    configuration.maxServerHeldBytes = 1 << 20
    var opening = CallOpening(method: Self.deaf.path)
    for _ in 0..<1_000 { opening.metadata.append("a", "b") }
    var meta = ByteBuffer()
    opening.encode(into: &meta)
    let calls = (0..<20).map {
      Frames.frame(.call, UInt32(2 * $0 + 1), meta: Array(meta.readableBytesView))
    }
    let half = Frames.frame(
      .message, 1, .message, message: [UInt8](repeating: 0, count: 1_100_000))
    let begun = Frames.frame(.call, 1, meta: Frames.opening(Self.deaf.path))
    let halfFrame = [begun, half.getSlice(at: 0, length: 1_099_000) ?? ByteBuffer()]
    try await withServer(configuration) { transport, address in
      for frames in [calls, halfFrame] {
        let bytes = try await transport.connect(to: address)
        try await RawPeer.with(bytes) { peer in
          expect(await peer.next() != nil)
          bytes.write(frames)
          let last = try #require(await peer.nextFrame())
          #expect(last.header.type == .error)
          #expect(try CallEnding(decoding: last.meta).code == .resourceExhausted)
          expect(await peer.next() == nil)
        }
      }
    }
  }

  @Test("counts paths that have numbers, and calls that wait for nothing")
  func small() async throws {
    var configuration = ConnectionConfiguration()
    configuration.maxServerHeldBytes = 500_000
    let paths = (0..<1_000).map { number in
      let path = "/" + String(repeating: "p", count: 1_000) + "\(number)"
      return Frames.frame(
        .call, UInt32(2 * number + 1), meta: Frames.opening(path, id: UInt32(number + 1)))
    }
    let calls = (0..<100).map { number in
      Frames.frame(.call, UInt32(2 * number + 1), meta: Frames.opening(Self.deaf.path))
    }
    try await withServer(configuration) { transport, address in
      for frames in [paths, calls] {
        let bytes = try await transport.connect(to: address)
        try await RawPeer.with(bytes) { peer in
          expect(await peer.next() != nil)
          bytes.write(frames)
          var last: FrameHeader?
          while let frame = await peer.nextFrame() { last = frame.header }
          #expect(last?.type == .error)
        }
      }
    }
  }

  @Test("the host that holds the most goes first, however many connections it has")
  func victim() {
    func holder(_ peer: String, _ bytes: Int) -> Holder {
      let connection = Connection(
        role: .server, bytes: StalledBytes(), peer: peer, configuration: ConnectionConfiguration(),
        time: SystemTimeSource())
      return Holder(connection: connection, bytes: bytes)
    }
    let holders = [
      holder("10.0.0.1:1", 50), holder("10.0.0.2:1", 30), holder("10.0.0.2:2", 20),
      holder("10.0.0.2:3", 25), holder("10.0.0.3:9", 10),
    ]
    #expect(Holder.first(of: holders) == 1)
    #expect(Holder.first(of: []) == nil)
  }

  @Test("what is taken or whose connection has gone counts no more")
  func givenBack() async throws {
    var configuration = ConnectionConfiguration()
    configuration.maxServerHeldBytes = 1 << 20
    try await withServer(configuration) { transport, address in
      let payload = [UInt8](repeating: 1, count: 600_000)
      for round in 0..<3 {
        let bytes = try await transport.connect(to: address)
        try await RawPeer.with(bytes) { peer in
          expect(await peer.next() != nil)
          // Begun and left: 600,000 bytes each time, and a connection that goes with them.
          peer.send(Frames.frame(.call, 1, meta: Frames.opening(Self.deaf.path)))
          peer.send(Frames.frame(.message, 1, .message, message: payload))
          peer.send(Frames.frame(.ping, 0, message: Frames.number(UInt64(round))))
          let pong = try #require(await peer.nextFrame())
          #expect(pong.header.type == .ping)
        }
        try await withChannel(
          to: address, transport: transport, time: SystemTimeSource(), random: SystemRandomSource()
        ) { channel in
          let answer = try await channel.unary(
            Self.unary, EchoRequest(payload: [2]), options: CallOptions())
          #expect(answer.message.payload == [2])
        }
      }
    }
  }

  @Test("no more connections with calls than it may have")
  func connections() async throws {
    var configuration = ConnectionConfiguration()
    configuration.maxConnections = 2
    let call = Frames.frame(.call, 1, meta: Frames.opening(Self.deaf.path))
    try await withServer(configuration) { transport, address in
      let bytes = try await (transport.connect(to: address), transport.connect(to: address))
      try await RawPeer.with(bytes.0) { first in
        try await RawPeer.with(bytes.1) { second in
          for peer in [first, second] {
            expect(await peer.next() != nil)
            peer.send(call)
            try await expectPong(peer)
          }
          try await RawPeer.with(transport.connect(to: address)) { third in
            while await third.next() != nil {}
          }
          for peer in [first, second] { try await expectPong(peer) }
        }
      }
    }
  }

  @Test("no idle connection for which another comes: the one that is idle longest makes room")
  func newcomers() async throws {
    var configuration = ConnectionConfiguration()
    configuration.maxConnections = 2
    try await withServer(configuration) { transport, address in
      let bytes = try await (transport.connect(to: address), transport.connect(to: address))
      try await RawPeer.with(bytes.0) { first in
        try await RawPeer.with(bytes.1) { second in
          for peer in [second, first, second] { try await expectPong(peer) }
          try await RawPeer.with(transport.connect(to: address)) { third in
            try await expectPong(third)
            let frame = try #require(await first.nextFrame())
            #expect(frame.header.type == .goAway)
            try await expectPong(second)
          }
        }
      }
    }
  }

  /// The server still answers.
  private func expectPong(_ peer: RawPeer) async throws {
    peer.send(Frames.frame(.ping, 0, message: Frames.number(5)))
    let pong = try #require(await peer.nextFrame())
    #expect(pong.header.type == .ping)
  }
}

extension CallContext {
  /// Returns when the handler's task is cancelled.
  fileprivate func untilCancelled() async {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    await withTaskCancellationHandler {
      for await _ in stream {}
    } onCancel: {
      continuation.finish()
    }
  }
}
