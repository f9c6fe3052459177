import GRPCCore
import GRPCNIOTransportHTTP2Posix

/// grpc-swift-2 over loopback TCP: client and server in this process, one connection, callers in turn.
///
/// Messages are bare bytes: what it would need to encode them isn't counted against it.
enum GRPCPeer {
  private static let repetitions = 3
  private static let patience = Duration.seconds(1)
  private static let payload = [UInt8](repeating: 0x5a, count: 64)

  /// The median of how many unary calls of 64 bytes it makes in a second, so many at once.
  static func callsASecond(inFlight: Int) async throws -> Double {
    try await withGRPCServer(
      transport: .http2NIOPosix(
        address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: .plaintext),
      services: [Echo()]
    ) { server in
      guard let port = try await server.listeningAddress?.ipv4?.port else { return 0 }
      return try await withGRPCClient(
        transport: .http2NIOPosix(
          target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
      ) { client in
        _ = try await calls(client, inFlight, for: .milliseconds(300))
        var rates: [Double] = []
        for _ in 0..<repetitions {
          var count = 0
          let elapsed = try await seconds {
            count = try await calls(client, inFlight, for: patience)
          }
          rates.append(Double(count) / elapsed)
        }
        return median(rates)
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
              throw RPCError(code: .internalError, message: "")
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

private struct BytesCoder: MessageSerializer, MessageDeserializer {
  func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }

  func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] {
    bytes.withUnsafeBytes { Array($0) }
  }
}
