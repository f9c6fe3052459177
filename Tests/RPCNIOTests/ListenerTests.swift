import Foundation
import RPC
import RPCNIO
import Testing

@Suite("A listener")
struct ListenerTests {
  @Test("that fails says why, and so does its server", .timeLimit(.minutes(1)))
  func failure() async throws {
    let server = RPCServer(
      router: Router(), transport: NIOTransport(), address: Address("127.0.0.1:0"),
      time: SystemTimeSource())
    await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      let error = await #expect(throws: RPCError.self) {
        let address = try await server.listeningAddress
        let socket = try #require(listeningSocket(port: Endpoint(address).port))
        // What listens no more can't accept: the system says so, and there is no way back.
        shutdown(socket, CInt(SHUT_RDWR))
        try await group.waitForAll()
      }
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains("can't accept connections any more") == true)
    }
  }

  /// This process's socket that listens on a port of 127.0.0.1.
  private func listeningSocket(port: Int?) -> CInt? {
    (0..<CInt(4_096)).first { socket in
      var listens: CInt = 0
      var size = socklen_t(MemoryLayout<CInt>.size)
      guard getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0, listens == 1 else {
        return false
      }
      var address = sockaddr_in()
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let code = withUnsafeMutablePointer(to: &address) { address in
        address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          getsockname(socket, $0, &length)
        }
      }
      return code == 0 && address.sin_family == sa_family_t(AF_INET)
        && UInt32(bigEndian: address.sin_addr.s_addr) == 0x7f00_0001
        && Int(UInt16(bigEndian: address.sin_port)) == port
    }
  }
}
