import NIOCore
import Schema
import StoreProtocol
import Testing

@testable import RPC

@Suite("A peer that takes nothing of what waits for it")
struct StalledPeerTests {
  private let began = Instant(nanoseconds: 1_000_000_000)
  private let timeout = Duration.seconds(30)

  private func look(
    _ watch: inout StallWatch, after seconds: Int, pending: Bool = false, credit: UInt64 = 0
  ) -> Bool {
    watch.isStalled(
      hasPending: pending, credit: credit, now: began.advanced(by: .seconds(seconds)),
      timeout: timeout)
  }

  @Test("neither reads nor grants credit: either is enough, and so is that nothing waits")
  func watch() {
    var watch = StallWatch()
    expect(!look(&watch, after: 0) && watch.since == nil, "nothing waits")
    expect(!look(&watch, after: 10, pending: true))
    expect(!look(&watch, after: 39, pending: true))
    expect(look(&watch, after: 40, pending: true))
    expect(!look(&watch, after: 41, pending: true, credit: 1), "it granted credit")
    expect(!look(&watch, after: 70, pending: true, credit: 1))
    watch.transport(left: 100, unsent: 50)
    expect(!look(&watch, after: 71, pending: true, credit: 1), "it read")
    watch.transport(left: 100, unsent: 9_000)
    expect(!look(&watch, after: 100, credit: 1))
    expect(look(&watch, after: 101, credit: 1))
    watch.transport(left: 9_150, unsent: 0)
    expect(!look(&watch, after: 102, credit: 1) && watch.since == nil)
  }

  @Test("isn't one whose messages had their turn before others began to wait")
  func noneWaits() {
    var watch = StallWatch()
    expect(!look(&watch, after: 0, pending: true))
    watch.nothingPends()
    expect(!look(&watch, after: 30, pending: true), "another one, that has just begun to wait")
    watch.transport(left: 1, unsent: 1)
    expect(!look(&watch, after: 31, pending: true))
    watch.nothingPends()
    expect(!look(&watch, after: 60))
    expect(look(&watch, after: 61), "what the transport holds waits still")
    watch.transport(left: 2, unsent: 0)
    expect(!look(&watch, after: 100, pending: true))
  }

  @Test("keeps nothing alive by the pings that it reads")
  func pings() {
    var watch = StallWatch()
    expect(!look(&watch, after: 0, pending: true))
    watch.transport(left: 1_000, unsent: 0)
    expect(look(&watch, after: 30, pending: true))
  }

  private static let large = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "Large", kind: .unary)

  /// Runs a server that answers each call with 200,000 bytes.
  private func withServer(
    _ configuration: ConnectionConfiguration,
    _ body: @escaping @Sendable (any ByteConnection) async throws -> Void
  ) async throws {
    var router = Router()
    router.unary(Self.large) { _, _ in
      EchoResponse(data: Body(ByteBuffer(repeating: 1, count: 200_000)))
    }
    let transport = MemoryTransport()
    let server = RPCServer(
      router: router, transport: transport, address: Address("server"), time: SystemTimeSource(),
      configuration: configuration)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      try await body(try await transport.connect(to: try await server.listeningAddress))
      server.shutdown(grace: .zero)
      try await group.waitForAll()
    }
  }

  private func call(_ number: Int) -> ByteBuffer {
    Frames.frame(
      .call, UInt32(2 * number + 1), [.message, .endStream], meta: Frames.opening(Self.large.path))
  }

  /// What a peer's connection ends with that makes `count` calls and grants no credit.
  private func ending(
    _ configuration: ConnectionConfiguration, calls count: Int
  ) async throws {
    try await withServer(configuration) { bytes in
      var settings = PeerSettings()
      settings.connectionWindow = 65_536
      try await RawPeer.with(bytes, settings: settings) { peer in
        expect(await peer.next() != nil)
        for number in 0..<count { peer.send(call(number)) }
        while let frame = await peer.nextFrame() {
          guard frame.header.type == .error else { continue }
          let ending = try CallEnding(decoding: frame.meta)
          #expect(ending.code == .resourceExhausted)
          return
        }
        Issue.record("no error came")
      }
    }
  }

  @Test("loses its connection: one that reads and grants no credit", .timeLimit(.minutes(1)))
  func noCredit() async throws {
    var configuration = ConnectionConfiguration()
    configuration.stallTimeout = .milliseconds(20)
    try await ending(configuration, calls: 1)
  }

  @Test("is counted with what it doesn't take, and goes when it's much", .timeLimit(.minutes(1)))
  func budget() async throws {
    var configuration = ConnectionConfiguration()
    configuration.stallTimeout = nil
    configuration.maxServerHeldBytes = 1 << 20
    try await ending(configuration, calls: 8)
  }

  @Test("loses its connection: one that doesn't read", .timeLimit(.minutes(1)))
  func deaf() async throws {
    var configuration = ConnectionConfiguration()
    configuration.stallTimeout = .milliseconds(20)
    try await withServer(configuration) { bytes in
      try await RawPeer.with(bytes) { peer in
        expect(await peer.next() != nil)
        bytes.setReading(false)
        for number in 0..<10 { peer.send(call(number)) }
        // What it would have read comes in when the other end has closed.
        while await peer.next() != nil {}
      }
    }
  }

  @Test("costs what is in the outbox and in the transport")
  func held() {
    let connection = Connection(
      role: .server, bytes: StalledBytes(), peer: "deaf", configuration: ConnectionConfiguration(),
      time: SystemTimeSource())
    _ = connection.received(PeerSettings().preface)
    connection.sent(1_000, unsent: 70_000)
    #expect(connection.heldBytes == 70_000)
    connection.sent(71_000, unsent: 0)
    #expect(connection.heldBytes == 0)
  }
}
