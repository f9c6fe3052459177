import RPC
import RPCNIO
import RPCTestSuite
import Testing

@Suite("calls over TCP")
struct SocketBehaviourTests {
  @Test("behave as they must", .timeLimit(.minutes(1)), arguments: Behaviour.all)
  func behave(_ behaviour: Behaviour) async throws {
    try await behaviour.run(NIOTransport(), Loopback.next)
  }
}
