import NIOCore
import StoreProtocol
import Testing

@testable import RPC

@Suite("A call whose write was cancelled")
struct CancelledWriteTests {
  @Test("can't be written to or ended while the message is still on its way: an error, no crash")
  func behind() async throws {
    let connection = Connection(
      role: .client, bytes: StalledBytes(), peer: "slow", configuration: ConnectionConfiguration(),
      time: SystemTimeSource())
    var settings = PeerSettings()
    settings.callWindow = 65_536
    _ = connection.received(settings.preface)
    let call = Call(connection: connection, path: "/a.B/C", deadline: nil)
    try await connection.open(call, metadata: Metadata())
    // More than the peer gives credit for, and it gives no more.
    let large = EchoRequest(payload: [UInt8](repeating: 0, count: 1 << 20))
    await withTaskGroup(of: StatusCode?.self) { group in
      group.addTask { await code { try await connection.write(large, call) } }
      group.cancelAll()
      #expect(await group.next() == .cancelled)
    }
    #expect(
      await code { try await connection.write(EchoRequest(), call) } == .failedPrecondition)
    #expect(await code { try connection.finishWriting(call) } == .failedPrecondition)
  }

  @Test("a path that is longer than any peer takes is refused before anything is sent")
  func path() async throws {
    let connection = Connection(
      role: .client, bytes: StalledBytes(), peer: "any", configuration: ConnectionConfiguration(),
      time: SystemTimeSource())
    _ = connection.received(PeerSettings().preface)
    let call = Call(
      connection: connection, path: "/" + String(repeating: "x", count: 1_024), deadline: nil)
    #expect(
      await code { try await connection.open(call, metadata: Metadata()) } == .invalidArgument)
  }

  private func code(_ body: () async throws -> Void) async -> StatusCode? {
    do {
      try await body()
      return nil
    } catch {
      return (error as? RPCError)?.code ?? .unknown
    }
  }
}
