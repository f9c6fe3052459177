import NIOCore
import NIOPosix
import RPC
import RPCNIO
import StoreProtocol
import Testing

@Suite("A server on a socket")
struct RudePeerTests {
  private static let magic: [UInt8] = [0x89, 0x48, 0x46, 0x52, 0x50, 0x43, 0x0d, 0x0a]

  @Test(
    "outlives peers that send garbage", .timeLimit(.minutes(1)),
    arguments: [
      Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8),
      [UInt8](repeating: 0, count: 100_000),
      [UInt8](repeating: 0xff, count: 16),
      magic + [1, 1, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0xff, count: 64),
      magic + [7, 9, 0, 0, 0, 0, 0, 0],
      magic + [1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff],
    ])
  func garbage(_ bytes: [UInt8]) async throws {
    try await withServer { address in
      let port = try #require(Endpoint(address).port)
      let peer = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .connect(host: "127.0.0.1", port: port).get()
      // The server may close before all of it was sent.
      try? await peer.writeAndFlush(ByteBuffer(bytes: bytes))
      try await peer.closeFuture.get()
      try await expectAnswer(address)
    }
  }

  @Test("outlives peers that leave in the middle of a word", .timeLimit(.minutes(1)))
  func brokenOff() async throws {
    try await withServer { address in
      let port = try #require(Endpoint(address).port)
      for count in 0..<Self.magic.count {
        let peer = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
          .connect(host: "127.0.0.1", port: port).get()
        try await peer.writeAndFlush(ByteBuffer(bytes: Self.magic[..<count]))
        try await peer.close()
      }
      try await expectAnswer(address)
    }
  }

  /// Runs a server without methods while `body` runs.
  private func withServer(_ body: (Address) async throws -> Void) async throws {
    let server = RPCServer(
      router: Router(), transport: NIOTransport(), address: Address("127.0.0.1:0"),
      time: SystemTimeSource())
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      try await body(try await server.listeningAddress)
      server.shutdown(grace: .zero)
      try await group.waitForAll()
    }
  }

  /// The server says that it hasn't a method, as it must.
  private func expectAnswer(_ address: Address) async throws {
    let method = Method<GetStatusRequest, GetStatusResponse>(
      service: "nobody.Knows", name: "This", kind: .unary)
    let error = await #expect(throws: RPCError.self) {
      try await withChannel(
        to: address, transport: NIOTransport(), time: SystemTimeSource(),
        random: SystemRandomSource()
      ) { channel in
        _ = try await channel.unary(method, GetStatusRequest(), options: CallOptions())
      }
    }
    #expect(error?.code == .unimplemented)
  }
}
