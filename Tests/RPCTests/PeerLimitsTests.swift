import NIOCore
import StoreProtocol
import Testing

@testable import RPC

@Suite("What a peer takes")
struct PeerLimitsTests {
  @Test("of meta is bounded by its frames, too: a client doesn't send more")
  func framePayload() throws {
    let connection = Connection(
      role: .client, bytes: StalledBytes(), peer: "server",
      configuration: ConnectionConfiguration(), time: SystemTimeSource())
    var remote = PeerSettings()
    remote.maxFramePayload = 16_384
    _ = connection.received(remote.preface)
    var metadata = Metadata()
    metadata.append("key", String(repeating: "a", count: 20_000))
    let call = Call(connection: connection, path: "/a.B/C", deadline: nil)
    let error = #expect(throws: RPCError.self) {
      _ = try connection.enter { state, wakeups in
        try connection.place(call, metadata, &state, &wakeups)
      }
    }
    #expect(error?.code == .resourceExhausted)
    #expect(remote.mostMeta == 16_384)
  }

  @Test("of meta bounds what a server says of a method that it hasn't")
  func unknownMethod() async throws {
    let transport = MemoryTransport()
    let server = RPCServer(
      router: Router(), transport: transport, address: Address("server"),
      time: SystemTimeSource())
    var settings = PeerSettings()
    settings.maxMeta = 1_024
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      let bytes = try await transport.connect(to: try await server.listeningAddress)
      try await RawPeer.with(bytes, settings: settings) { peer in
        expect(await peer.next() != nil)
        let path = "/" + String(repeating: "a", count: MethodNumbers.mostPathBytes - 1)
        peer.send(Frames.frame(.call, 1, meta: Frames.opening(path)))
        let frame = try #require(await peer.nextFrame())
        #expect(frame.header.type == .end)
        #expect(frame.header.metaLength <= 1_024)
        #expect(try CallEnding(decoding: frame.meta).code == .unimplemented)
      }
      server.shutdown(grace: .zero)
      try await group.waitForAll()
    }
  }
}
