import Foundation
import RPCTestSuite
import Testing

/// How the command's connections are made: TLS, Unix sockets, and what servers say of themselves.
@Suite(.serialized) struct ConnectionTests {
  @Test("a cluster under mutual TLS stores and reads, and lets nobody else in")
  func mutualTLS() async throws {
    let certificates = try Certificates()
    defer { certificates.remove() }
    let pair = try certificates.issue("peer")
    let environment = [
      "HOLDFAST_TLS_CERT": pair.certificate, "HOLDFAST_TLS_KEY": pair.key,
      "HOLDFAST_TLS_CA": certificates.authority,
    ]
    try await TestCluster.with(nodes: 2, environment: environment) { cluster in
      let bytes = noise(9 << 20, seed: 21)
      try cluster.scratch.write("in", bytes)
      let put = try await cluster.run("put", "in", "kept", "--json")
      #expect(try put.objects.first?["copies"] as? Int == 2, "\(put.errors)")
      #expect(try await cluster.run("get", "kept", "-").output == bytes)
      let node = try #require(cluster.nodeAddresses[1])
      let top = try await cluster.run("rpc", "top", node, "--json")
      let connections = try #require(top.objects.first?["connections"] as? [[String: Any]])
      #expect(connections.contains { $0["identity"] as? [String] == ["localhost"] }, "\(top.text)")

      func refused(_ arguments: [String], _ words: String) async throws {
        let outcome = try await RunningProcess(
          ["status", "--directory", cluster.address] + arguments, scratch: cluster.scratch
        ).outcome()
        #expect(outcome.status == 77, "\(outcome.errors)")
        #expect(outcome.errors.contains(words), "\(outcome.errors)")
      }
      try await refused([], "speaks TLS")
      try await refused(["--tls-ca", certificates.authority], "wants a certificate")
      let strangers = try Certificates()
      defer { strangers.remove() }
      try await refused(["--tls-ca", strangers.authority], "authority")
    }
  }

  @Test("a TLS client is told that the server is plain")
  func plainServer() async throws {
    let certificates = try Certificates()
    defer { certificates.remove() }
    try await TestCluster.with(nodes: 1) { cluster in
      let outcome = try await cluster.run("status", "--tls-ca", certificates.authority)
      #expect(outcome.status == 77 && outcome.errors.contains("doesn't speak TLS"))
    }
  }

  @Test("a whole cluster on Unix sockets stores and reads, and leaves no socket behind")
  func unixSockets() async throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    let bytes = noise(3 << 20, seed: 22)
    try scratch.write("in", bytes)
    let socket = "/tmp/holdfast-\(UUID().uuidString.prefix(13)).sock"
    let dev = try RunningProcess(
      ["dev", "--data", scratch.path("data"), "--listen", "unix:\(socket)"], scratch: scratch)
    let address = try await TestCluster.readyAddress(of: dev)
    #expect(address == "unix:\(socket)")
    let directory = ["--directory", address]
    let put = try await RunningProcess(["put", "in", "kept"] + directory, scratch: scratch)
      .outcome()
    #expect(put.status == 0 && put.text.contains("3 copies"), "\(put.errors)")
    let get = try await RunningProcess(["get", "kept", "-"] + directory, scratch: scratch).outcome()
    #expect(get.output == bytes, "\(get.errors)")
    #expect(await dev.end(with: SIGTERM) == 0)
    for path in [socket, "\(socket).node-1", "\(socket).node-3"] {
      #expect(!FileManager.default.fileExists(atPath: path))
    }
  }

  @Test("a server tells what it offers, how it is, and what its connections are at")
  func standardServices() async throws {
    try await TestCluster.with(nodes: 1) { cluster in
      let list = try await cluster.run("rpc", "list", cluster.address)
      for line in [
        "  holdfast.v1.Directory/OpenFile  (unary)",
        "  grpc.health.v1.Health/Watch  (server streaming)",
      ] {
        #expect(list.text.contains(line), "\(list.text) \(list.errors)")
      }
      let described = try await cluster.run(
        "rpc", "describe", cluster.address, "holdfast.v1.Directory")
      #expect(described.text.contains("rpc OpenFile("), "\(described.errors)")
      let health = try await cluster.run(
        "rpc", "call", cluster.address, "grpc.health.v1.Health/Check", "{}")
      #expect(try health.objects.first?["status"] as? String == "SERVING", "\(health.errors)")
      let top = try await cluster.run("rpc", "top", cluster.address)
      #expect(top.text.contains("holdfast.rpc.Debug/GetConnections"), "\(top.text) \(top.errors)")
    }
  }
}
