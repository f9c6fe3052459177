import RPC
import StoreProtocol
import Testing

@Suite("Metadata that a handler sends back")
struct ResponseMetadataTests {
  private static let before = method("Before")
  private static let after = method("After")
  private static let invalid = method("Invalid")

  private static func method(_ name: String) -> Method<EchoRequest, EchoResponse> {
    Method(service: "test.Mirror", name: name, kind: .unary)
  }

  /// A server whose handlers send back what their callers sent.
  private static func router() -> Router {
    var router = Router()
    router.unary(before) { _, context in
      try context.setResponseMetadata(context.metadata)
      return EchoResponse()
    }
    router.unary(after) { _, context in
      try context.setTrailingMetadata(context.metadata)
      return EchoResponse()
    }
    router.unary(invalid) { _, context in
      try context.setResponseMetadata(["Upper": "case"])
      return EchoResponse()
    }
    return router
  }

  @Test("ends the call alone when it is more than may travel, whoever made it so")
  func tooMuch() async throws {
    let transport = MemoryTransport()
    let time = SystemTimeSource()
    let server = RPCServer(
      router: Self.router(), transport: transport, address: Address("server"), time: time)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      try await withChannel(
        to: try await server.listeningAddress, transport: transport, time: time,
        random: SystemRandomSource()
      ) { channel in
        func failure(_ method: Method<EchoRequest, EchoResponse>, bytes: Int) async -> RPCError? {
          let metadata: Metadata = ["key": String(repeating: "a", count: bytes)]
          do {
            let options = CallOptions(metadata: metadata)
            let answer = try await channel.unary(method, EchoRequest(), options: options)
            #expect((answer.metadata == metadata) != (answer.trailingMetadata == metadata))
            return nil
          } catch {
            return error as? RPCError
          }
        }
        for method in [Self.before, Self.after] {
          let error = await failure(method, bytes: 40_000)
          #expect(error?.code == .resourceExhausted)
          #expect(error?.message.contains("32768") == true)
          #expect(await failure(method, bytes: 30_000) == nil)
        }
        #expect(await failure(Self.invalid, bytes: 1)?.code == .internal)
      }
      server.shutdown(grace: .zero)
      try await group.waitForAll()
    }
  }
}
