import NIOCore
import StoreProtocol
import Testing

@testable import RPC

@Suite("A server that holds reading back")
struct HeldBackTests {
  private static let deaf = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "Deaf", kind: .clientStreaming)

  @Test("doesn't take the peer for dead, whose answer to a ping it wouldn't read")
  func keepalive() {
    var router = Router()
    router.clientStreaming(Self.deaf) { _, _ in EchoResponse() }
    let bytes = StalledBytes()
    let connection = Connection(
      role: .server, bytes: bytes, peer: "deaf", router: router,
      configuration: ConnectionConfiguration(), time: SystemTimeSource())
    _ = connection.received(PeerSettings().preface)
    _ = connection.received(Frames.frame(.call, 1, meta: Frames.opening(Self.deaf.path)))
    connection.writabilityChanged(false)
    var id: UInt32 = 3
    while bytes.isReading, id < 20_000 {
      _ = connection.received(Frames.frame(.call, id, meta: Frames.opening("/a.B/None")))
      connection.receivedAll()
      id += 2
    }
    #expect(!bytes.isReading)
    func ring(after seconds: Int) {
      let now = connection.time.now.advanced(by: .seconds(seconds))
      expect(connection.ring(now).map { $0 > now } ?? true, "nothing is overdue")
    }
    for seconds in [11, 22, 33] { ring(after: seconds) }
    #expect(connection.closingError == nil)

    connection.writabilityChanged(true)
    #expect(bytes.isReading)
    ring(after: 5)
    #expect(connection.closingError == nil)
    for seconds in [11, 22] { ring(after: seconds) }
    #expect(connection.closingError != nil, "it is read again and stays silent")
  }
}
