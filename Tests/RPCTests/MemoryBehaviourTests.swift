import RPC
import RPCTestSuite
import Testing

@Suite("calls over the memory transport")
struct MemoryBehaviourTests {
  @Test("behave as they must", .timeLimit(.minutes(5)), arguments: Behaviour.all)
  func behave(_ behaviour: Behaviour) async throws {
    try await behaviour.run(MemoryTransport(), Address("server:0"))
  }
}
