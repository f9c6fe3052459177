import RPCTestSuite
import Schema
import StoreProtocol
import Testing

@testable import RPC

@Suite("The longest message")
struct MessageLimitTests {
  private static let method = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "C", kind: .unary)

  @Test("may take more memory in proportion, and never less than the standard")
  func memory() {
    var configuration = ConnectionConfiguration()
    #expect(configuration.decodingLimits == .standard)
    configuration.maxMessageBytes = 32 << 20
    #expect(configuration.decodingLimits == DecodingLimits(bytes: 32 << 20, memory: 128 << 20))
    configuration.maxMessageBytes = .max
    #expect(configuration.decodingLimits.memory == .max)
  }

  @Test("may be longer than 16 MiB where a configuration says so, on either side")
  func aboveTheStandard() async throws {
    var configuration = ConnectionConfiguration()
    configuration.maxMessageBytes = 20 << 20
    var router = Router()
    router.unary(Self.method) { request, _ in EchoResponse(payload: request.payload) }
    let transport = MemoryTransport()
    let time = SystemTimeSource()
    let server = RPCServer(
      router: router, transport: transport, address: Address("server"), time: time,
      configuration: configuration)
    let limits = configuration
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      try await withChannel(
        to: try await server.listeningAddress, transport: transport, time: time,
        random: SystemRandomSource(), configuration: limits
      ) { channel in
        let payload = [UInt8](repeating: 1, count: 18 << 20)
        let answer = try await channel.unary(
          Self.method, EchoRequest(payload: payload), options: CallOptions())
        #expect(answer.message.payload.count == payload.count)
      }
      server.shutdown(grace: .zero)
      try await group.waitForAll()
    }
  }
}
