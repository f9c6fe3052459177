import NIOCore
import Schema
import StoreProtocol
import Testing

@testable import RPC

@Suite("A server that holds reading back")
struct HeldBackTests {
  private static let deaf = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "Deaf", kind: .clientStreaming)

  /// A server's connection with a call whose requests nobody reads.
  private func connection(_ bytes: StalledBytes) -> Connection {
    var router = Router()
    router.clientStreaming(Self.deaf) { _, _ in EchoResponse() }
    let connection = Connection(
      role: .server, bytes: bytes, peer: "deaf", router: router,
      configuration: ConnectionConfiguration(), time: SystemTimeSource())
    _ = connection.received(PeerSettings().preface)
    _ = connection.received(Frames.frame(.call, 1, meta: Frames.opening(Self.deaf.path)))
    return connection
  }

  /// Makes calls of a method that there isn't until nothing more is read.
  private func pileUp(_ connection: Connection, _ bytes: StalledBytes) {
    var id: UInt32 = 3
    while bytes.isReading, id < 20_000 {
      _ = connection.received(Frames.frame(.call, id, meta: Frames.opening("/a.B/None")))
      connection.receivedAll()
      id += 2
    }
    #expect(!bytes.isReading)
  }

  @Test("doesn't take the peer for dead, whose answer to a ping it wouldn't read")
  func keepalive() {
    let bytes = StalledBytes()
    let connection = connection(bytes)
    connection.writabilityChanged(false)
    pileUp(connection, bytes)
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

  @Test("does so for answers that pile up, not for a response that filled the line")
  func bulk() {
    let bytes = StalledBytes()
    let connection = connection(bytes)
    connection.enter { state, _ in
      state.outbox.wait(
        1, message: ByteBuffer(), body: Body(ByteBuffer(repeating: 1, count: 3 << 20)),
        endsStream: false)
    }
    connection.receivedAll()
    #expect(bytes.count > 1 << 20)
    connection.writabilityChanged(false)
    connection.receivedAll()
    #expect(bytes.count > 2 << 20, "what was made ready in the meantime goes, too")
    #expect(bytes.isReading)

    let before = bytes.count
    pileUp(connection, bytes)
    #expect(bytes.count > before + Connection.piledBytes)
    #expect(bytes.count < before + Connection.piledBytes + 1024)
  }
}
