import Foundation
import NIOCore
import NIOPosix
import RPC
import RPCNIO
import Testing

@Suite("The TCP transport")
struct TransportTests {
  @Test("carries bytes both ways, in order", arguments: ["127.0.0.1:0", "localhost:0"])
  func carries(_ address: String) async throws {
    let pair = try await Pair(on: address)
    let atServer = Collector()
    let atClient = Collector()
    pair.server.start(atServer)
    pair.client.start(atClient)
    let sizes = [1, 100, 9_000, 3, 70_000, 8_192, 8_193, 1_048_576, 5]
    var expected: [UInt8] = []
    for (number, size) in sizes.enumerated() {
      let piece = ByteBuffer(repeating: UInt8(number), count: size)
      expected += piece.readableBytesView
      pair.client.write([piece])
      pair.server.write([piece, piece])
    }
    await atServer.untilReceived(expected.count)
    await atClient.untilReceived(2 * expected.count)
    #expect(atServer.bytes == expected)
    let doubled = sizes.enumerated().flatMap { [UInt8](repeating: UInt8($0), count: 2 * $1) }
    #expect(atClient.bytes == doubled)
    #expect(pair.client.peer == pair.listener.address.description)
    await pair.close()
  }

  @Test("keeps the order of writes that come from the loop and from elsewhere")
  func ordersWrites() async throws {
    let pair = try await Pair()
    let atServer = Collector()
    pair.server.start(atServer)
    pair.client.start(Collector())
    let client = pair.client
    for round in 0..<200 {
      client.write([ByteBuffer(bytes: [UInt8(round)])])
      await withTaskExecutorPreference(client.executor) {
        client.write([ByteBuffer(bytes: [UInt8(round)])])
      }
    }
    await atServer.untilReceived(400)
    #expect(atServer.bytes == (0..<200).flatMap { [UInt8($0), UInt8($0)] })
    await pair.close()
  }

  @Test("runs tasks that prefer a connection's executor, however many")
  func runsTasks() async throws {
    let pair = try await Pair()
    let executor = pair.client.executor
    let sum = await withTaskGroup(of: Int.self) { group in
      for number in 0..<10_000 {
        group.addTask(executorPreference: executor) {
          await Task.yield()
          return number
        }
      }
      return await group.reduce(0, +)
    }
    #expect(sum == 49_995_000)
    await pair.close()
  }

  @Test("hands over nothing before it is started, and everything then")
  func waitsForStart() async throws {
    let pair = try await Pair()
    pair.client.write([ByteBuffer(string: "early")])
    let atServer = Collector()
    pair.server.start(atServer)
    await atServer.untilReceived(5)
    #expect(atServer.bytes == Array("early".utf8))
    await pair.close()
  }

  @Test("hands over what a peer sent before it closed, however late it is started")
  func startsAfterTheEnd() async throws {
    let pair = try await Pair()
    let atClient = Collector()
    pair.client.start(atClient)
    pair.client.write([ByteBuffer(string: "early")])
    pair.client.close()
    // The client hears of the end once the server's side has taken in everything and closed as well.
    await atClient.untilClosed()
    let atServer = Collector()
    pair.server.start(atServer)
    await atServer.untilClosed()
    #expect(atServer.bytes == Array("early".utf8))
    await pair.close()
  }

  @Test("holds back what isn't read, and goes on when it is")
  func holdsBack() async throws {
    let pair = try await Pair()
    let atClient = Collector()
    let atServer = Collector()
    pair.client.start(atClient)
    pair.server.start(atServer)
    pair.server.setReading(false)
    let piece = ByteBuffer(repeating: 7, count: 1 << 20)
    for _ in 0..<32 { pair.client.write([piece]) }
    await atClient.untilNotWritable()
    #expect(atServer.bytes.count < 32 << 20)
    pair.server.setReading(true)
    await atServer.untilReceived(32 << 20)
    #expect(atServer.bytes.count == 32 << 20)
    await pair.close()
  }

  @Test("says how much of what was taken waits for a peer that doesn't read, until all has left")
  func tellsUnsent() async throws {
    let pair = try await Pair()
    let atClient = Collector()
    let atServer = Collector()
    pair.client.start(atClient)
    pair.server.start(atServer)
    pair.server.setReading(false)
    for _ in 0..<32 { pair.client.write([ByteBuffer(repeating: 7, count: 1 << 20)]) }
    await atClient.untilUnsent(true)
    #expect(atClient.left < 32 << 20)
    pair.server.setReading(true)
    await atClient.untilUnsent(false)
    #expect(atClient.left == 32 << 20)
    await pair.close()
  }

  @Test("sends what was taken before it closes")
  func lingers() async throws {
    let pair = try await Pair()
    let atServer = Collector()
    let atClient = Collector()
    pair.client.start(atClient)
    pair.server.start(atServer)
    pair.client.write([ByteBuffer(repeating: 1, count: 16 << 20)])
    pair.client.close()
    pair.client.close()
    await atServer.untilClosed()
    await atClient.untilClosed()
    #expect(atServer.bytes.count == 16 << 20)
    #expect(atServer.error == nil)
    #expect(atClient.error == nil)
    pair.server.write([ByteBuffer(string: "too late")])
    await pair.close()
  }

  @Test("gives up a peer that doesn't read the rest, for the system, too", .timeLimit(.minutes(1)))
  func abandons() async throws {
    let pair = try await Pair()
    let atServer = Collector()
    let atClient = Collector()
    pair.client.start(atClient)
    pair.server.start(atServer)
    pair.server.setReading(false)
    pair.client.write([ByteBuffer(repeating: 1, count: 16 << 20)])
    pair.client.close()
    await atClient.untilClosed()
    // It doesn't read, and hears all the same that the connection is gone: by a reset.
    await atServer.untilClosed()
    #expect(atServer.error?.code == .unavailable)
    #expect(atServer.bytes.count < 16 << 20)
    await pair.close()
  }

  @Test("tells a handler that starts too late that the connection is gone")
  func startsLate() async throws {
    let pair = try await Pair()
    let atClient = Collector()
    pair.client.start(atClient)
    pair.server.close()
    await atClient.untilClosed()
    let late = Collector()
    pair.server.start(late)
    await late.untilClosed()
    await pair.close()
  }

  @Test("accepts no more once its listener is closed")
  func stopsAccepting() async throws {
    let pair = try await Pair()
    async let next = pair.listener.accept()
    pair.listener.close()
    #expect(try await next == nil)
    #expect(try await pair.listener.accept() == nil)
    await pair.close()
  }

  @Test("stops waiting for a connection when its task is cancelled")
  func cancelsAccept() async throws {
    let listener = try await NIOTransport().listen(on: Address("127.0.0.1:0"))
    await withTaskGroup(of: Bool.self) { group in
      group.addTask { (try? await listener.accept()) == nil }
      group.cancelAll()
      #expect(await group.next() == true)
    }
    listener.close()
  }

  @Test("says that a port is in use")
  func portInUse() async throws {
    let listener = try await NIOTransport().listen(on: Address("127.0.0.1:0"))
    let error = await #expect(throws: RPCError.self) {
      _ = try await NIOTransport().listen(on: listener.address)
    }
    #expect(error?.code == .unavailable)
    #expect(error?.message == "can't listen on \(listener.address): the port is in use")
    listener.close()
  }

  @Test("says that an address belongs to another machine")
  func foreignAddress() async throws {
    let error = await #expect(throws: RPCError.self) {
      _ = try await NIOTransport().listen(on: Address("192.0.2.1:0"))
    }
    #expect(error?.code == .invalidArgument)
  }

  @Test("says that nobody listens")
  func nobodyListens() async throws {
    let listener = try await NIOTransport().listen(on: Address("127.0.0.1:0"))
    let address = listener.address
    listener.close()
    #expect(try await listener.accept() == nil)
    let refusal = await #expect(throws: RPCError.self) {
      _ = try await NIOTransport().connect(to: address)
    }
    #expect(refusal?.code == .unavailable)
    #expect(refusal?.message == "can't connect to \(address): nobody listens there")
  }

  @Test("says that a host is unknown")
  func unknownHost() async throws {
    let error = await #expect(throws: RPCError.self) {
      _ = try await NIOTransport().connect(to: Address("no-such-host.invalid:1"))
    }
    #expect(error?.code == .unavailable)
  }

  @Test("says that a peer broke the connection")
  func brokenByPeer() async throws {
    let listener = try await NIOTransport().listen(on: Address("127.0.0.1:0"))
    let port = try #require(Endpoint(listener.address).port)
    let peer = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .connect(host: "127.0.0.1", port: port).get()
    let connection = try #require(await listener.accept())
    let atServer = Collector()
    connection.start(atServer)
    let socket = try #require(peer as? any SocketOptionProvider)
    try await socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
    try await peer.close()
    await atServer.untilClosed()
    #expect(atServer.error?.code == .unavailable)
    listener.close()
  }

  @Test("still sends to a peer that has sent its last, what was taken before")
  func halfOpenPeer() async throws {
    let listener = try await NIOTransport().listen(on: Address("127.0.0.1:0"))
    let port = try #require(Endpoint(listener.address).port)
    let peer = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .connect(host: "127.0.0.1", port: port).get()
    let connection = try #require(await listener.accept())
    let atServer = Collector(onRead: { connection.write([$0]) })
    connection.start(atServer)
    try await peer.writeAndFlush(ByteBuffer(string: "last words"))
    try await peer.close(mode: .output)
    await atServer.untilClosed()
    #expect(atServer.bytes == Array("last words".utf8))
    #expect(atServer.error == nil)
    try await peer.closeFuture.get()
    listener.close()
  }
}
