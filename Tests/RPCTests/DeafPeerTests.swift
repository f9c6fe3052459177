import NIOCore
import Testing

@testable import RPC

@Suite("A server whose peer never reads")
struct DeafPeerTests {
  @Test("reads no more once answers pile up, and goes on when they have left")
  func stopsReading() {
    let bytes = StalledBytes()
    let connection = Connection(
      role: .server, bytes: bytes, peer: "deaf", configuration: ConnectionConfiguration(),
      time: SystemTimeSource())
    _ = connection.received(PeerSettings().preface)
    connection.writabilityChanged(false)
    var id: UInt32 = 1
    while bytes.isReading, id < 20_000 {
      _ = connection.received(Frames.frame(.call, id, meta: Frames.opening("/a.B/C")))
      connection.receivedAll()
      id += 2
    }
    #expect(!bytes.isReading)
    #expect(bytes.count < Connection.piledBytes + 1024)
    connection.writabilityChanged(true)
    #expect(bytes.isReading)
    #expect(connection.closingError == nil)
  }
}
