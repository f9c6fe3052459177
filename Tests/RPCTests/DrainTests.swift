import NIOCore
import RPCTestSuite
import StoreProtocol
import Testing

@testable import RPC

@Suite("A server that wants to be rid of a connection")
struct DrainTests {
  private static let method = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "C", kind: .unary)

  /// Runs a server and a peer that plays its client.
  private func withPeer(
    configuration: ConnectionConfiguration = ConnectionConfiguration(), hasPreface: Bool = true,
    _ body: @escaping @Sendable (RPCServer, RawPeer) async throws -> Void
  ) async throws {
    var router = Router()
    router.unary(Self.method) { request, _ in EchoResponse(payload: request.payload) }
    let transport = MemoryTransport()
    let server = RPCServer(
      router: router, transport: transport, address: Address("server"), time: SystemTimeSource(),
      configuration: configuration)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      let bytes = try await transport.connect(to: await server.listeningAddress)
      try await RawPeer.with(bytes, hasPreface: hasPreface) { peer in
        expect(await peer.next() == .preface(PeerSettings()))
        try await body(server, peer)
      }
      server.shutdown(grace: .zero)
      try await group.waitForAll()
    }
  }

  private func call(_ id: UInt32) -> ByteBuffer {
    Frames.frame(
      .call, id, [.message, .endStream], meta: Frames.opening(Self.method.path), message: [])
  }

  /// Sees the two steps of a drain with a call that was under way when it began.
  private func expectDrain(_ peer: RawPeer) async throws {
    let announcement = try #require(await peer.nextFrame())
    #expect(announcement.header.type == .goAway)
    #expect(announcement.message == ByteBuffer(integer: UInt32.max))
    let ping = try #require(await peer.nextFrame())
    #expect(ping.header.type == .ping && ping.header.flags.isEmpty)
    peer.send(call(1))
    #expect(try #require(await peer.nextFrame()).header.type == .end)
    peer.send(Frames.frame(.ping, 0, .ack, message: Array(ping.message.readableBytesView)))
    let goodbye = try #require(await peer.nextFrame())
    #expect(goodbye.header.type == .goAway)
    #expect(goodbye.message == ByteBuffer(integer: 1, endianness: .little, as: UInt32.self))
    expect(await peer.next() == nil)
  }

  @Test("as it stops: serves what was under way and closes when its client knows")
  func stops() async throws {
    try await withPeer { server, peer in
      server.shutdown(grace: .seconds(3_600))
      try await expectDrain(peer)
    }
  }

  @Test("as it stops, before the client's preface has come: serves a call that comes with that")
  func stopsEarly() async throws {
    try await withPeer(hasPreface: false) { server, peer in
      server.shutdown(grace: .seconds(3_600))
      peer.send(PeerSettings().preface)
      try await expectDrain(peer)
    }
  }

  /// A connection whose peer hasn't said a word.
  private func silent(_ bytes: StalledBytes) -> Connection {
    Connection(
      role: .server, bytes: bytes, peer: "client", configuration: ConnectionConfiguration(),
      time: SystemTimeSource())
  }

  @Test("as it stops, before it has said a word: says none, so that no client takes it for open")
  func stopsUnheard() {
    let bytes = StalledBytes()
    let connection = silent(bytes)
    connection.drain(grace: .seconds(30))
    #expect(connection.closingError != nil)
    #expect(bytes.count == 0)
  }

  @Test("doesn't wait longer for a preface because it stops, nor than its grace")
  func stopsSilent() {
    for (grace, patience) in [(3_600, 5), (2, 2)] {
      let connection = silent(StalledBytes())
      connection.receivedAll()
      connection.drain(grace: .seconds(grace))
      #expect(connection.closingError == nil)
      _ = connection.ring(connection.time.now.advanced(by: .seconds(patience - 1)))
      #expect(connection.closingError == nil)
      _ = connection.ring(connection.time.now.advanced(by: .seconds(patience)))
      #expect(connection.closingError != nil)
    }
  }

  @Test("as it is idle: the same")
  func idle() async throws {
    var configuration = ConnectionConfiguration()
    configuration.idleTimeout = .milliseconds(1)
    try await withPeer(configuration: configuration) { _, peer in
      try await expectDrain(peer)
    }
  }

  @Test("refuses calls after a while when the client doesn't say that it knows")
  func deafClient() async throws {
    try await withPeer { server, peer in
      server.shutdown(grace: .milliseconds(20))
      var ids: [UInt32] = []
      while let frame = await peer.nextFrame() {
        if frame.header.type == .goAway {
          ids.append(frame.message.getInteger(at: 0, endianness: .little) ?? 7)
        }
      }
      #expect(ids == [.max, 0])
    }
  }
}
