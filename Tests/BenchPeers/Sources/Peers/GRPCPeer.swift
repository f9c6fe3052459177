import GRPCCore
import GRPCNIOTransportHTTP2Posix

/// grpc-swift-2 over loopback TCP, as `RPCBench` measures our calls: client and server in one process, one
/// connection, so many callers that each call in turn.
///
/// Messages are bare bytes: encoding them isn't counted against it, while ours are encoded and decoded. Its
/// event loops are its own default, one for each core.
enum GRPCPeer {
  private static let repetitions = 3
  private static let warmUp = Duration.milliseconds(300)
  private static let timeEach = Duration.seconds(1)
  private static let payload = [UInt8](repeating: 0x5a, count: 64)

  /// The medians of how many unary calls of 64 bytes it makes in a second, so many at once, and of the
  /// microseconds of CPU that one costs both sides.
  static func calls(inFlight: Int) async throws -> (perSecond: Double, cpu: Double) {
    try await withGRPCServer(
      transport: .http2NIOPosix(
        address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: .plaintext),
      services: [Echo()]
    ) { server in
      guard let port = try await server.listeningAddress?.ipv4?.port else {
        throw RPCError(code: .unavailable, message: "the server listens on no port")
      }
      return try await withGRPCClient(
        transport: .http2NIOPosix(
          target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
      ) { client in
        _ = try await calls(client, inFlight, for: warmUp)
        var rates: [Double] = []
        var cpu: [Double] = []
        for _ in 0..<repetitions {
          var count = 0
          let cpuBefore = cpuSeconds()
          let elapsed = try await seconds {
            count = try await calls(client, inFlight, for: timeEach)
          }
          rates.append(Double(count) / elapsed)
          cpu.append((cpuSeconds() - cpuBefore) / Double(count) * 1e6)
        }
        return (median(rates), median(cpu))
      }
    }
  }

  private static func calls(
    _ client: GRPCClient<HTTP2ClientTransport.Posix>, _ inFlight: Int, for time: Duration
  ) async throws -> Int {
    let end = ContinuousClock.now.advanced(by: time)
    return try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<inFlight {
        group.addTask {
          var count = 0
          while ContinuousClock.now < end {
            let answer = try await client.unary(
              request: ClientRequest(message: payload), descriptor: Echo.ping,
              serializer: BytesCoder(), deserializer: BytesCoder(), options: .defaults
            ) { try $0.message }
            guard answer.count == payload.count else {
              throw RPCError(code: .internalError, message: "a ping went wrong")
            }
            count += 1
          }
          return count
        }
      }
      return try await group.reduce(0, +)
    }
  }
}

/// Sends back what comes.
private struct Echo: RegistrableRPCService {
  static let ping = MethodDescriptor(
    fullyQualifiedService: "holdfast.bench.Bench", method: "Ping")

  func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
    router.registerHandler(
      forMethod: Self.ping, deserializer: BytesCoder(), serializer: BytesCoder()
    ) { request, _ in
      let request = try await ServerRequest(stream: request)
      return StreamingServerResponse(single: ServerResponse(message: request.message))
    }
  }
}

/// Bytes as they are.
private struct BytesCoder: MessageSerializer, MessageDeserializer {
  func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }

  func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] {
    bytes.withUnsafeBytes { Array($0) }
  }
}
