import Testing

@testable import RPC

@Suite("How long a client waits for a connection")
struct ConnectTimeoutTests {
  @Test("includes what connecting took before the preface is waited for")
  func preface() {
    let time = SystemTimeSource()
    let began = time.now.advanced(by: .seconds(-4))
    let connection = Connection(
      role: .client, bytes: StalledBytes(), peer: "server",
      configuration: ConnectionConfiguration(), time: time, began: began)
    _ = connection.ring(began.advanced(by: .milliseconds(4_999)))
    #expect(connection.closingError == nil)
    _ = connection.ring(began.advanced(by: .seconds(5)))
    #expect(connection.closingError?.code == .unavailable)
  }
}
