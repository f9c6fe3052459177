import RPC
import RPCTestSuite
import StoreProtocol
import Synchronization
import Testing

/// Notes what happens, in order.
private final class Notes: Sendable {
  private let lines = Mutex<[String]>([])
  var all: [String] { lines.withLock { $0 } }
  func add(_ line: String) { lines.withLock { $0.append(line) } }
}

/// Notes when calls come and go, on either side.
private struct Noting: ClientInterceptor, ServerInterceptor {
  let name: String
  let notes: Notes

  func intercept<Result: Sendable>(
    _ call: ClientCall, _ next: @Sendable (ClientCall) async throws -> Result
  ) async throws -> Result {
    var call = call
    call.options.metadata.append("by", name)
    return try await noting(call.path) { try await next(call) }
  }

  func intercept(_ context: CallContext, _ next: @Sendable () async throws -> Void) async throws {
    try await noting(context.path, next)
  }

  private func noting<Result>(
    _ path: String, _ body: () async throws -> Result
  ) async throws -> Result {
    notes.add("\(name) > \(path.split(separator: "/").last ?? "")")
    do {
      let result = try await body()
      notes.add("\(name) < ok")
      return result
    } catch {
      notes.add("\(name) < \((error as? RPCError)?.code ?? .unknown)")
      throw error
    }
  }
}

@Suite("Interceptors")
struct InterceptorTests {
  private static let unary = Method<EchoRequest, EchoResponse>(
    service: "test.S", name: "Unary", kind: .unary)
  private static let stream = Method<EchoRequest, EchoResponse>(
    service: "test.S", name: "Stream", kind: .serverStreaming)

  private static func router() -> Router {
    var router = Router()
    router.unary(unary) { request, context in
      if request.payload == [0] { throw RPCError(.notFound, "nothing") }
      let names = context.metadata.entries.filter { $0.key == "by" }.flatMap(\.value)
      return EchoResponse(payload: names)
    }
    router.serverStreaming(stream) { _, responses, _ in
      for _ in 0..<3 { try await responses.write(EchoResponse()) }
    }
    return router
  }

  private func withCalls(
    server: [any ServerInterceptor] = [], client: [any ClientInterceptor] = [],
    _ body: @escaping @Sendable (any CallChannel) async throws -> Void
  ) async throws {
    let transport = MemoryTransport()
    let time = SystemTimeSource()
    let running = RPCServer(
      router: Self.router().intercepted(by: server), transport: transport,
      address: Address("here:0"), time: time)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await running.run() }
      let place = try await running.listeningAddress
      try await withChannel(
        to: place, transport: transport, time: time, random: SystemRandomSource()
      ) { try await body($0.intercepted(by: client)) }
      running.shutdown()
      try await group.waitForAll()
    }
  }

  @Test("stand around calls on both sides, the first one outermost")
  func order() async throws {
    let client = Notes()
    let server = Notes()
    try await withCalls(
      server: [Noting(name: "a", notes: server), Noting(name: "b", notes: server)],
      client: [Noting(name: "x", notes: client), Noting(name: "y", notes: client)]
    ) { channel in
      let answer = try await channel.unary(Self.unary, EchoRequest(), options: CallOptions())
      #expect(answer.message.payload == Array("xy".utf8))
    }
    #expect(client.all == ["x > Unary", "y > Unary", "y < ok", "x < ok"])
    #expect(server.all == ["a > Unary", "b > Unary", "b < ok", "a < ok"])
  }

  @Test("see how calls fail, and whole streams")
  func failuresAndStreams() async throws {
    let client = Notes()
    let server = Notes()
    try await withCalls(
      server: [Noting(name: "s", notes: server)], client: [Noting(name: "c", notes: client)]
    ) { channel in
      let error = await #expect(throws: RPCError.self) {
        _ = try await channel.unary(
          Self.unary, EchoRequest(payload: [0]), options: CallOptions())
      }
      #expect(error?.code == .notFound)
      let count = try await channel.serverStreaming(
        Self.stream, EchoRequest(), options: CallOptions()
      ) { responses in
        var count = 0
        while try await responses.next() != nil { count += 1 }
        return count
      }
      #expect(count == 3)
    }
    #expect(client.all == ["c > Unary", "c < notFound", "c > Stream", "c < ok"])
    #expect(server.all == ["s > Unary", "s < notFound", "s > Stream", "s < ok"])
  }

  @Test("authentication lets in who has the credentials, and nobody else")
  func authentication() async throws {
    let guardian = CallAuthentication { context in
      guard context.metadata["authorization"] == "Bearer sesame" else {
        throw RPCError(.unauthenticated, "who are you?")
      }
    }
    let key = CallCredentials { _ in ["authorization": "Bearer sesame"] }
    try await withCalls(server: [guardian], client: [key]) { channel in
      _ = try await channel.unary(Self.unary, EchoRequest(), options: CallOptions())
    }
    try await withCalls(server: [guardian]) { channel in
      let error = await #expect(throws: RPCError.self) {
        _ = try await channel.unary(Self.unary, EchoRequest(), options: CallOptions())
      }
      #expect(error?.code == .unauthenticated && error?.message == "who are you?")
    }
  }
}
