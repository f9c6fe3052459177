import NIOCore
import RPCTestSuite
import Schema
import StoreProtocol
import Synchronization
import Testing

@testable import RPC

@Suite("A memory network with faults")
struct MemoryFaultTests {
  private static let unary = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "C", kind: .unary)
  private static let stream = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "D", kind: .bidirectional)
  private static let time = SystemTimeSource()

  /// Random numbers that are what the test says, then 1 for ever.
  private final class Script: RandomSource {
    private let numbers: Mutex<[UInt64]>

    init(_ numbers: [UInt64]) {
      self.numbers = Mutex(numbers)
    }

    func next() -> UInt64 {
      numbers.withLock { $0.isEmpty ? 1 : $0.removeFirst() }
    }
  }

  /// Runs a server on a network that is sound, with a pool that calls it.
  private func withNetwork(
    random: any RandomSource = SystemRandomSource(),
    configuration: ConnectionConfiguration = ConnectionConfiguration(),
    monitor: ServerMonitor = ServerMonitor(),
    _ body: @escaping @Sendable (MemoryNetwork, any CallChannel) async throws -> Void
  ) async throws {
    let network = MemoryNetwork(time: Self.time, random: random)
    let transport = MemoryTransport(network: network)
    var router = Router()
    router.unary(Self.unary) { request, _ in EchoResponse(payload: request.payload) }
    router.bidirectional(Self.stream) { requests, responses, _ in
      for try await request in requests {
        try await responses.write(EchoResponse(payload: request.payload))
      }
    }
    let server = RPCServer(
      router: router, transport: transport, address: Address("server"), time: Self.time,
      configuration: configuration, monitor: monitor)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      let address = try await server.listeningAddress
      try await withChannel(
        to: address, transport: transport, time: Self.time, random: SystemRandomSource(),
        configuration: configuration
      ) { try await body(network, $0) }
      // A server's connection that nobody hears from stays until the server is cancelled.
      group.cancelAll()
      try? await group.waitForAll()
    }
  }

  private func call(
    _ channel: any CallChannel, options: CallOptions = CallOptions()
  ) async throws {
    let answer = try await channel.unary(
      Self.unary, EchoRequest(payload: [7]), options: options)
    #expect(answer.message.payload == [7])
  }

  @Test("carries bytes no faster than its delay, and in order whatever its jitter")
  func delay() async throws {
    try await withNetwork { network, channel in
      var faults = MemoryFaults()
      faults.delay = .milliseconds(5)
      faults.jitter = .milliseconds(5)
      network.setFaults(faults)
      let began = Self.time.now
      try await self.call(channel)
      // There and back for the connection, for the prefaces (each way at once), and for the call.
      #expect(began.duration(to: Self.time.now) >= .milliseconds(25))
      try await channel.stream(Self.stream, options: CallOptions()) { requests, responses in
        for number in 0..<50 { try await requests.write(EchoRequest(payload: [UInt8(number)])) }
        try await requests.finish()
        var seen: [UInt8] = []
        while let response = try await responses.next() { seen += response.payload }
        #expect(seen == Array(0..<50))
      }
    }
  }

  @Test("has an end that is about to wait see what was sent just then", .timeLimit(.minutes(1)))
  func wakes() async throws {
    var faults = MemoryFaults()
    faults.delay = .seconds(3_600)
    let link = MemoryLink(
      client: "client", server: "server", faults: faults, time: Self.time,
      random: SystemRandomSource())
    let server = try #require(link.server as? MemoryConnection)
    server.start(Deaf())
    link.client.write([ByteBuffer(integer: 7)])
    // It saw that nothing was under way; now something is, with a moment at which it arrives.
    await server.waitForChange(beside: nil)
  }

  /// Hears nothing.
  private final class Deaf: ByteHandler {
    func received(_ bytes: ByteBuffer) -> Int { 0 }
    func receivedAll() {}
    func writabilityChanged(_ isWritable: Bool) {}
    func closed(_ error: RPCError?) {}
  }

  @Test("tells both sides of a cut, and the next call finds its way")
  func cuts() async throws {
    // Prefaces, then the first call's request; the answer is what is cut.
    try await withNetwork(random: Script([1, 1, 1, 0])) { network, channel in
      var faults = MemoryFaults()
      faults.cutsOneIn = 1 << 40
      network.setFaults(faults, at: Address("server"))
      let error = await #expect(throws: RPCError.self) { try await self.call(channel) }
      #expect(error?.code == .unavailable)
      try await self.call(channel)
    }
  }

  @Test("tells nobody of a loss: the deadline ends the call, pings find the connection dead")
  func loses() async throws {
    var configuration = ConnectionConfiguration()
    configuration.keepaliveInterval = .milliseconds(10)
    try await withNetwork(
      random: Script([1, 1, 0]), configuration: configuration
    ) { network, channel in
      var faults = MemoryFaults()
      faults.losesOneIn = 1 << 40
      network.setFaults(faults)
      let late = await #expect(throws: RPCError.self) {
        try await self.call(channel, options: CallOptions(timeout: .milliseconds(100)))
      }
      #expect(late?.code == .deadlineExceeded)
      // Nothing that follows arrives either, though nothing else is lost by itself.
      let lost = await #expect(throws: RPCError.self) { try await self.call(channel) }
      #expect(lost?.code == .unavailable)
      #expect(lost?.message.contains("doesn't answer any more") == true)
      try await self.call(channel)
    }
  }

  @Test(
    "in which nobody answers ends attempts to connect after their time, until it is heard again")
  func silence() async throws {
    var configuration = ConnectionConfiguration()
    configuration.connectTimeout = .milliseconds(50)
    configuration.firstBackoff = .milliseconds(1)
    configuration.longestBackoff = .milliseconds(1)
    try await withNetwork(configuration: configuration) { network, channel in
      var faults = MemoryFaults()
      faults.isSilent = true
      network.setFaults(faults)
      let error = await #expect(throws: RPCError.self) { try await self.call(channel) }
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains("no answer within") == true)
      network.setFaults(MemoryFaults())
      try await self.call(channel, options: CallOptions(waitsForReady: true))
    }
  }

  @Test("that is slow makes windows grow")
  func windows() async throws {
    var configuration = ConnectionConfiguration()
    configuration.callWindowBytes = 65_536
    configuration.connectionWindowBytes = 65_536
    let monitor = ServerMonitor()
    try await withNetwork(configuration: configuration, monitor: monitor) { network, channel in
      var faults = MemoryFaults()
      faults.delay = .milliseconds(5)
      network.setFaults(faults)
      let body = Body([UInt8](repeating: 1, count: 30_000))
      try await channel.stream(Self.stream, options: CallOptions()) { requests, responses in
        // As fast as there is credit: a sender that waits for each answer takes half of the window in two ways
        // there and back, and the window may stay as it is.
        for _ in 0..<60 { try await requests.write(EchoRequest(data: body)) }
        for _ in 0..<60 { _ = try await responses.next() }
        let connection = try #require(monitor.report().connections.first)
        #expect(connection.receiveWindow > 65_536)
        #expect(try #require(connection.calls.first).receiveWindow > 65_536)
      }
    }
  }
}
