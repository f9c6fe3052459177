import NIOCore
import NIOPosix
import RPC
import Testing

@testable import RPCNIO

@Suite("Reads of a socket in a row")
struct ReadRunTests {
  @Test("go on for ever while the loop turns to others between them")
  func turns() {
    var run = ReadRun()
    for _ in 0..<100 {
      var marks = 0
      for _ in 0..<(ReadRun.most - 1) {
        let step = run.read()
        #expect(step != .stop)
        marks += step == .mark ? 1 : 0
      }
      #expect(marks == 1)
      run.turned()
    }
  }

  @Test("end when the loop turns to nobody")
  func noTurn() {
    var run = ReadRun()
    let steps = (0..<ReadRun.most).map { _ in run.read() }
    #expect(steps.last == .stop)
    #expect(!steps.dropLast().contains(.stop))
  }

  @Test("end at a peer's last word, when it left much small work", .timeLimit(.minutes(1)))
  func lastWord() async throws {
    let listener = try await NIOTransport().listen(on: Address("127.0.0.1:0"))
    let port = try #require(Endpoint(listener.address).port)
    let peer = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .connect(host: "127.0.0.1", port: port).get()
    let connection = try #require(await listener.accept())
    // Large reads at first, so that the system makes room; then none, then small ones.
    let first = 32 << 20
    let atServer = Collector(expecting: { $0 < first ? 1 << 20 : 0 })
    connection.start(atServer)
    try await peer.writeAndFlush(ByteBuffer(repeating: 1, count: first))
    await atServer.untilReceived(first)
    connection.setReading(false)
    let rest = 1 << 20
    try await peer.writeAndFlush(ByteBuffer(repeating: 2, count: rest))
    try await peer.close(mode: .output)
    await atServer.untilClosed()
    let taken = atServer.bytes.count - first
    #expect(taken < rest)
    #expect(atServer.error == nil)
    try await peer.closeFuture.get()
    listener.close()
  }
}
