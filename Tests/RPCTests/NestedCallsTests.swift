import RPC
import RPCTestSuite
import StoreProtocol
import Testing

@Suite("A call made inside a call")
struct NestedCallsTests {
  private static let outer = method("Outer")
  private static let time = method("Time")
  private static let wait = method("Wait")

  private static func method(_ name: String) -> Method<EchoRequest, EchoResponse> {
    Method(service: "test.Nested", name: name, kind: .unary)
  }

  /// Runs a server whose method Outer calls another one, with `inner` as the options, and makes calls to it.
  private func withServer(
    inner: CallOptions = CallOptions(), calls method: Method<EchoRequest, EchoResponse>,
    signals: Signals = Signals(),
    _ body: @escaping @Sendable (any CallChannel) async throws -> Void
  ) async throws {
    let transport = MemoryTransport()
    let time = SystemTimeSource()
    let place = Address("server")
    let pool = ChannelPool(transport: transport, time: time, random: SystemRandomSource())
    let channel = pool.channel(to: place)
    var router = Router()
    router.unary(Self.outer) { request, _ in
      try await channel.unary(method, request, options: inner).message
    }
    router.unary(Self.time) { _, context in
      let left = context.timeLeft.map { "\($0.components.seconds)" } ?? "none"
      return EchoResponse(payload: Array(left.utf8))
    }
    router.unary(Self.wait) { _, _ in
      signals.send("waits")
      // Each call waits until it is cancelled itself: one before it may have been already.
      let (never, continuation) = AsyncStream.makeStream(of: Void.self)
      for await _ in never {}
      withExtendedLifetime(continuation) { signals.send("cancelled") }
      throw CancellationError()
    }
    let server = RPCServer(router: router, transport: transport, address: place, time: time)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      group.addTask { await pool.run() }
      _ = try await server.listeningAddress
      try await body(channel)
      pool.shutdown()
      server.shutdown(grace: .zero)
      try await group.waitForAll()
    }
  }

  /// Whole seconds that the inner call has left.
  private func secondsLeft(outer: Duration?, inner: Duration?) async throws -> Int? {
    let (stream, continuation) = AsyncStream.makeStream(of: String.self)
    try await withServer(inner: CallOptions(timeout: inner), calls: Self.time) { channel in
      let answer = try await channel.unary(
        Self.outer, EchoRequest(), options: CallOptions(timeout: outer))
      continuation.yield(String(decoding: answer.message.payload, as: UTF8.self))
    }
    for await text in stream { return Int(text) }
    return nil
  }

  @Test("has what is left of the deadline, or less if it says so")
  func deadline() async throws {
    let hour = Duration.seconds(3_600)
    #expect(try await secondsLeft(outer: nil, inner: nil) == nil)
    for (outer, inner) in [(hour, nil), (hour, hour * 2), (hour * 2, hour), (nil, hour)] {
      let left = try #require(await secondsLeft(outer: outer, inner: inner))
      #expect((3_000..<3_600).contains(left))
    }
  }

  @Test("ends when the outer one is cancelled")
  func cancellation() async throws {
    let signals = Signals()
    try await withServer(calls: Self.wait, signals: signals) { channel in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          let error = await #expect(throws: RPCError.self) {
            _ = try await channel.unary(Self.outer, EchoRequest(), options: CallOptions())
          }
          #expect(error?.code == .cancelled)
        }
        await signals.wait("waits")
        group.cancelAll()
        await signals.wait("cancelled")
        try await group.waitForAll()
      }
    }
  }

  @Test("ends with the deadline of the outer one")
  func late() async throws {
    let signals = Signals()
    try await withServer(calls: Self.wait, signals: signals) { channel in
      // On a busy machine the inner call may not even begin within a short time.
      for milliseconds in [20, 100, 500, 2_500, 12_500] where !signals.has("waits") {
        let error = await #expect(throws: RPCError.self) {
          let options = CallOptions(timeout: .milliseconds(milliseconds))
          _ = try await channel.unary(Self.outer, EchoRequest(), options: options)
        }
        #expect(error?.code == .deadlineExceeded)
      }
      await signals.wait("cancelled")
    }
  }
}
