import CoreMetrics
import InMemoryTracing
import Logging
import MetricsTestKit
import RPC
import RPCObservability
import StoreProtocol
import Synchronization
import Testing
import Tracing

/// Keeps what is logged.
private final class LogLines: LogHandler, @unchecked Sendable {
  // Everything that changes is behind the lock: that is what makes this `Sendable`.
  private let state = Mutex<(lines: [String], metadata: Logger.Metadata, level: Logger.Level)>(
    ([], [:], .trace))

  var lines: [String] { state.withLock { $0.lines } }
  var metadata: Logger.Metadata {
    get { state.withLock { $0.metadata } }
    set { state.withLock { $0.metadata = newValue } }
  }
  var logLevel: Logger.Level {
    get { state.withLock { $0.level } }
    set { state.withLock { $0.level = newValue } }
  }
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let status = event.metadata?["status"].map { "\($0)" } ?? "none"
    state.withLock { $0.lines.append("\(event.level) \(event.message) \(status)") }
  }
}

@Suite("Observing calls")
struct ObservabilityTests {
  private static let good = method("Good")
  private static let bad = method("Bad")
  private static let outer = method("Outer")
  private static let slow = method("Slow")

  private static func method(_ name: String) -> Method<EchoRequest, EchoResponse> {
    Method(service: "test.S", name: name, kind: .unary)
  }

  /// Runs a server whose method Outer calls Good in turn, and makes calls to it.
  private func withCalls(
    server: [any ServerInterceptor], client: [any ClientInterceptor],
    _ body: @escaping @Sendable (any CallChannel) async throws -> Void
  ) async throws {
    let transport = MemoryTransport()
    let time = SystemTimeSource()
    let pool = ChannelPool(transport: transport, time: time, random: SystemRandomSource())
    let place = Address("here")
    let channel = pool.channel(to: place).intercepted(by: client)
    var router = Router()
    router.unary(Self.good) { _, _ in EchoResponse() }
    router.unary(Self.bad) { _, _ in throw RPCError(.notFound, "nothing") }
    router.unary(Self.outer) { _, _ in
      try await channel.unary(Self.good, EchoRequest(), options: CallOptions()).message
    }
    router.unary(Self.slow) { _, _ in
      let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
      defer { continuation.finish() }
      // Until the task is cancelled.
      for await _ in stream {}
      try Task.checkCancellation()
      return EchoResponse()
    }
    let running = RPCServer(
      router: router.intercepted(by: server), transport: transport, address: place, time: time)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await running.run() }
      group.addTask { await pool.run() }
      _ = try await running.listeningAddress
      try await body(channel)
      pool.shutdown()
      running.shutdown()
      try await group.waitForAll()
    }
  }

  /// Makes a call that succeeds and one that fails.
  private func callBoth(_ channel: any CallChannel) async throws {
    _ = try await channel.unary(Self.good, EchoRequest(), options: CallOptions())
    await #expect(throws: RPCError.self) {
      _ = try await channel.unary(Self.bad, EchoRequest(), options: CallOptions())
    }
  }

  @Test("calls are logged with their status, failures louder")
  func logging() async throws {
    let lines = LogLines()
    let logging = CallLogging(Logger(label: "test") { _ in lines }, time: SystemTimeSource())
    try await withCalls(server: [], client: [logging], callBoth)
    #expect(lines.lines == ["debug /test.S/Good ok", "notice /test.S/Bad notFound"])
    try await withCalls(server: [logging], client: [], callBoth)
    #expect(lines.lines.count == 4)
  }

  @Test("calls are counted and timed by method and status, on both sides")
  func metrics() async throws {
    let metrics = TestMetrics()
    let counting = CallMetrics(time: SystemTimeSource(), factory: metrics)
    try await withCalls(server: [counting], client: [counting], callBoth)
    for side in ["client", "server"] {
      for (method, status) in [("Good", "ok"), ("Bad", "notFound")] {
        let dimensions = [("method", "/test.S/\(method)"), ("status", status)]
        #expect(try metrics.expectCounter("rpc.\(side).calls", dimensions).totalValue == 1)
        #expect(try metrics.expectTimer("rpc.\(side).duration", dimensions).values.count == 1)
      }
    }
  }

  @Test("a call that its deadline cancels is one whose deadline passed, on the server as well")
  func deadline() async throws {
    let lines = LogLines()
    let metrics = TestMetrics()
    let tracer = InMemoryTracer()
    let time = SystemTimeSource()
    let server: [any ServerInterceptor] = [
      CallLogging(Logger(label: "test") { _ in lines }, time: time),
      CallMetrics(time: time, factory: metrics), CallTracing(tracer),
    ]
    try await withCalls(server: server, client: []) { channel in
      // On a busy machine the handler may not even begin within a short time.
      for milliseconds in [100, 500, 2_500, 12_500] where lines.lines.isEmpty {
        let options = CallOptions(timeout: .milliseconds(milliseconds))
        let error = await #expect(throws: RPCError.self) {
          _ = try await channel.unary(Self.slow, EchoRequest(), options: options)
        }
        #expect(error?.code == .deadlineExceeded)
      }
    }
    #expect(Set(lines.lines) == ["notice /test.S/Slow deadlineExceeded"])
    let dimensions = [("method", "/test.S/Slow"), ("status", "deadlineExceeded")]
    #expect(
      try metrics.expectCounter("rpc.server.calls", dimensions).totalValue == lines.lines.count)
    #expect(tracer.finishedSpans.first?.status?.code == .error)
  }

  @Test("a call made inside a call continues its trace")
  func tracing() async throws {
    let tracer = InMemoryTracer()
    let tracing = CallTracing(tracer)
    try await withCalls(server: [tracing], client: [tracing]) { channel in
      _ = try await channel.unary(Self.outer, EchoRequest(), options: CallOptions())
    }
    // From the innermost out; each is the child of the one around it.
    let order: [(name: String, kind: SpanKind)] = [
      ("test.S/Good", .server), ("test.S/Good", .client), ("test.S/Outer", .server),
      ("test.S/Outer", .client),
    ]
    let finished = tracer.finishedSpans
    #expect(finished.count == order.count)
    let spans = try order.map { wanted in
      try #require(
        finished.first { $0.operationName == wanted.name && $0.kind == wanted.kind })
    }
    #expect(Set(spans.map(\.traceID)).count == 1)
    for (inner, outer) in zip(spans, spans.dropFirst()) {
      #expect(inner.parentSpanID == outer.spanID)
    }
  }
}
