import NIOCore
import RPC
import RPCNIO
import RPCTLS
import RPCTestSuite
import StoreProtocol
import Testing

@Suite("calls over mutual TLS")
struct TLSBehaviourTests {
  /// One network for all behaviours; its files are read and gone.
  private static let transport = Result {
    let certificates = try Certificates()
    defer { certificates.remove() }
    let pair = try certificates.issue("peer", for: Loopback.subjects)
    return try NIOTransport(
      tls: TLSFiles(
        certificate: pair.certificate, key: pair.key, authorities: certificates.authority))
  }

  @Test("behave as they must", .timeLimit(.minutes(1)), arguments: Behaviour.all)
  func behave(_ behaviour: Behaviour) async throws {
    try await behaviour.run(Self.transport.get(), Loopback.next)
  }
}

/// Who connects to whom, and what comes of it.
@Suite("TLS")
struct TLSTests {
  /// A service that says who calls.
  private static let whoAmI = Method<EchoRequest, EchoResponse>(
    service: "holdfast.test.Who", name: "AmI", kind: .unary)

  /// Calls a server of one network from another; what the server saw of the caller.
  private func call(
    server: any Transport, client: any Transport, on address: String = "127.0.0.1:0"
  ) async throws -> String {
    var router = Router()
    router.unary(Self.whoAmI) { _, context in
      EchoResponse(payload: Array((context.peerIdentity?.names.joined() ?? "nobody").utf8))
    }
    let running = RPCServer(
      router: router, transport: server, address: Address(address), time: SystemTimeSource())
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await running.run() }
      let place = try await running.listeningAddress
      defer { running.shutdown(grace: .zero) }
      return try await withChannel(
        to: place, transport: client, time: SystemTimeSource(), random: SystemRandomSource()
      ) { channel in
        let answer = try await channel.unary(
          Self.whoAmI, EchoRequest(), options: CallOptions(timeout: .seconds(20)))
        return String(decoding: answer.message.payload, as: UTF8.self)
      }
    }
  }

  /// Expects that the call fails with these words.
  private func expectRefusal(
    _ words: String, server: any Transport, client: any Transport,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    let error = await #expect(throws: RPCError.self, sourceLocation: sourceLocation) {
      _ = try await call(server: server, client: client)
    }
    #expect(error?.code == .unauthenticated, "\(error as Any)", sourceLocation: sourceLocation)
    #expect(
      error?.message.contains(words) == true, "\(error as Any)", sourceLocation: sourceLocation)
  }

  private func withCertificates(_ body: (Certificates) async throws -> Void) async throws {
    let certificates = try Certificates()
    defer { certificates.remove() }
    try await body(certificates)
  }

  private func files(_ pair: Certificates.Pair?, _ authority: String? = nil) -> TLSFiles {
    TLSFiles(certificate: pair?.certificate, key: pair?.key, authorities: authority)
  }

  @Test("a client without a certificate is served where none is asked for")
  func serverOnly() async throws {
    try await withCertificates { certificates in
      let server = try NIOTransport(tls: files(certificates.issue("server")))
      let client = try NIOTransport(tls: files(nil, certificates.authority))
      #expect(try await call(server: server, client: client) == "nobody")
      #expect(try await call(server: server, client: client, on: "localhost:0") == "nobody")
    }
  }

  @Test("a handler learns whose certificate its caller showed")
  func identity() async throws {
    try await withCertificates { certificates in
      let server = try NIOTransport(
        tls: files(certificates.issue("server"), certificates.authority))
      let client = try NIOTransport(
        tls: files(certificates.issue("client", for: "DNS:node-7"), certificates.authority))
      #expect(try await call(server: server, client: client) == "node-7")
    }
  }

  @Test("what isn't trusted is refused, and the message says why")
  func refusals() async throws {
    try await withCertificates { certificates in
      let authority = certificates.authority
      let good = try NIOTransport(tls: files(certificates.issue("good"), authority))
      let bare = try NIOTransport(tls: files(nil, authority))
      await expectRefusal("speaks TLS", server: good, client: NIOTransport())
      await expectRefusal("doesn't speak TLS", server: NIOTransport(), client: good)
      await expectRefusal("wants a certificate", server: good, client: bare)
      let late = try NIOTransport(tls: files(certificates.issue("late", days: -1), authority))
      await expectRefusal("expired", server: late, client: good)
      await expectRefusal("doesn't accept", server: good, client: late)
      let other = try NIOTransport(
        tls: files(certificates.issue("other", for: "DNS:elsewhere.example"), authority))
      await expectRefusal("another host", server: other, client: good)
      try await withCertificates { strangers in
        let stranger = try NIOTransport(tls: files(strangers.issue("x"), authority))
        let naive = try NIOTransport(tls: files(certificates.issue("y"), strangers.authority))
        await expectRefusal("authority", server: stranger, client: good)
        await expectRefusal("authority", server: good, client: naive)
        await expectRefusal("doesn't accept", server: good, client: stranger)
      }
    }
  }

  @Test("files that are missing or wrong are named")
  func files() async throws {
    try await withCertificates { certificates in
      let one = try certificates.issue("one")
      let two = try certificates.issue("two")
      let cases: [(TLSFiles, StatusCode, String)] = [
        (TLSFiles(certificate: "/none.pem", key: one.key), .notFound, "/none.pem"),
        (TLSFiles(certificate: one.certificate, key: "/none.key"), .notFound, "/none.key"),
        (TLSFiles(authorities: "/none.ca"), .notFound, "/none.ca"),
        (TLSFiles(certificate: one.key, key: one.key), .invalidArgument, "no certificate"),
        (TLSFiles(certificate: one.certificate, key: one.certificate), .invalidArgument, "no priv"),
        (TLSFiles(certificate: one.certificate, key: two.key), .invalidArgument, "isn't that of"),
        (TLSFiles(certificate: one.certificate), .invalidArgument, "go together"),
      ]
      for (files, code, words) in cases {
        let error = #expect(throws: RPCError.self) { try NIOTransport(tls: files) }
        #expect(error?.code == code, "\(files)")
        #expect(error?.message.contains(words) == true, "\(error as Any)")
      }
    }
  }
}
