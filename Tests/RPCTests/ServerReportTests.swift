import RPCTestSuite
import StoreProtocol
import Testing

@testable import RPC

@Suite("A server's report")
struct ServerReportTests {
  private static let method = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "C", kind: .bidirectional)

  @Test("tells no more calls than all its connections may have together")
  func budget() {
    var limits = ServerReport.Limits()
    #expect(limits.take(1_000) == 1_000)
    limits.callsOfConnection = 4
    limits.calls = 10
    #expect([3, 5, 0, 9, 2].map { limits.take($0) } == [3, 4, 0, 3, 0])
  }

  @Test("is cut to its limits, and says what there is beside")
  func limited() async throws {
    let transport = MemoryTransport()
    let time = SystemTimeSource()
    let monitor = ServerMonitor()
    var router = Router()
    router.bidirectional(Self.method) { requests, responses, _ in
      for try await _ in requests { try await responses.write(EchoResponse()) }
    }
    let server = RPCServer(
      router: router, transport: transport, address: Address("server"), time: time,
      monitor: monitor)
    let pool = ChannelPool(transport: transport, time: time, random: SystemRandomSource())
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      group.addTask { await pool.run() }
      let place = try await server.listeningAddress
      try await Self.withCalls((0..<9).map { pool.channel(to: place, lane: $0 / 3) }[...]) {
        let whole = monitor.report()
        #expect(whole.connections.map(\.calls.count) == [3, 3, 3])
        #expect(whole.connectionCount == 3)
        var limits = ServerReport.Limits()
        limits.connections = 2
        limits.callsOfConnection = 2
        limits.calls = 3
        let report = monitor.report(within: limits)
        #expect(report.connections.map(\.calls.count) == [2, 1])
        #expect(report.connections.map(\.callCount) == [3, 3] && report.connectionCount == 3)
      }
      pool.shutdown()
      server.shutdown(grace: .zero)
      try await group.waitForAll()
    }
  }

  /// Runs `body` while a call is under way on each of the channels.
  private static func withCalls(
    _ channels: ArraySlice<any CallChannel>, _ body: @Sendable () async throws -> Void
  ) async throws {
    guard let first = channels.first else { return try await body() }
    try await first.stream(method, options: CallOptions()) { requests, responses in
      try await requests.write(EchoRequest())
      _ = try await responses.next()
      try await withCalls(channels.dropFirst(), body)
    }
  }
}
