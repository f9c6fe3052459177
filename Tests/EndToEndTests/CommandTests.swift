import Foundation
import Testing

/// What the command says and how it exits.
@Suite(.serialized) struct CommandTests {
  @Test("wrong names, files and addresses get a clear message and their exit code")
  func badInput() async throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    try scratch.write("file", [1])
    try scratch.write("folder/file", [1])
    try scratch.write("folder/x/file", [1])
    let nowhere = ["--directory", "127.0.0.1:1"]
    let cases: [([String], Int32, String)] = [
      (["put", "file", ""], 64, "empty"),
      (["put", "file", String(repeating: "k", count: 1_025)], 64, "1025 bytes"),
      (["put", "file", "BAD_BUCKET:key"], 64, "bucket"),
      (["put", "missing"], 66, "missing"),
      (["put", "folder"], 64, "-r"),
      (["put", "file", "--class", "replica-9"], 64, "replica-3"),
      (["get"], 64, "name"),
      (["get", "x", "folder"], 73, "'folder/x' is a directory"),
      (["get", "a/..", "folder"], 64, "last part"),
      (["get", "x", "-r"], 64, "DIR"),
      (["stat", "file"] + nowhere, 69, "127.0.0.1:1"),
      (["put", "file"] + nowhere, 69, "127.0.0.1:1"),
      (["stat", "file", "--directory", "nonsense"], 64, "port"),
      (["rpc", "describe", "Nothing"], 66, "rpc list"),
      (["rpc", "call", "127.0.0.1:1", "holdfast.v1.Nothing/At", "{}"], 69, "127.0.0.1:1"),
      (["rpc", "list", "127.0.0.1:1"], 69, "127.0.0.1:1"),
      (["rpc", "top", "127.0.0.1:1"], 69, "127.0.0.1:1"),
      (["rpc", "describe", "a:1", "b", "c"], 64, "one name"),
      (["status", "--tls-ca", "missing.pem"], 66, "missing.pem"),
      (["status", "--tls-cert", "file", "--tls-key", "file"], 64, "--tls-ca"),
      (["status", "--tls-cert", "file"], 64, "--tls-key"),
      (["directory", "--data", "d", "--tls-ca", "file"], 64, "--tls-cert"),
      (["directory", "--data", "d", "--tls-cert", "file", "--tls-key", "file"], 64, "PEM"),
      (["directory", "--data", "file", "--listen", "127.0.0.1:0"], 73, "'file' can't be"),
      (["directory", "--data", "file/below", "--listen", "127.0.0.1:0"], 73, "directory"),
      (["directory", "--data", "/proc/x", "--listen", "127.0.0.1:0"], 73, "'/proc/x' can't be"),
      (["node", "--data", "file"], 73, "file"),
      (["rpc", "call", "127.0.0.1:1", "holdfast.v1.Directory/GetStatus", "{"], 64, "request"),
      (["frobnicate"], 64, "frobnicate"),
      (["dev", "--nodes", "0"], 64, "--nodes"),
    ]
    for (arguments, status, word) in cases {
      let outcome = try await RunningProcess(arguments, scratch: scratch).outcome()
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(word), "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.hasPrefix("holdfast: "), "\(arguments): \(outcome.errors)")
      #expect(!outcome.errors.contains("Error Domain"), "\(arguments): \(outcome.errors)")
    }
  }

  @Test("an argument that is not UTF-8 is refused")
  func notUTF8() async throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    try scratch.write("file", [1])
    let shell = try RunningProcess(
      program: "/bin/bash", ["-c", "exec '\(RunningProcess.holdfast)' put file $'bad\\xff'"],
      scratch: scratch)
    let outcome = await shell.outcome()
    #expect(outcome.status == 64 && outcome.errors.contains("UTF-8"), "\(outcome.errors)")
  }

  @Test("a node that listens at all addresses has to say where it is reached")
  func advertise() async throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    for address in ["0.0.0.0:0", "[::]:0", ":0"] {
      let node = try RunningProcess(
        ["node", "--data", scratch.path("data"), "--listen", address], scratch: scratch)
      let outcome = await node.outcome()
      #expect(outcome.status == 64 && outcome.errors.contains("--advertise"), "\(outcome.errors)")
    }
  }

  @Test("a node is not told to verify everything in no time, or never")
  func scrubDays() async throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    for days in ["0", "366", "-1", "soon"] {
      let node = try RunningProcess(
        ["node", "--data", scratch.path("data"), "--scrub-days=\(days)"], scratch: scratch)
      let outcome = await node.outcome()
      #expect(outcome.status == 64 && outcome.errors.contains("--scrub-days"), "\(outcome.errors)")
    }
  }

  @Test("help and version go to standard output and end well")
  func help() async throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    for arguments in [["--help"], ["put", "--help"], ["rpc", "call", "--help"], ["--version"]] {
      let outcome = try await RunningProcess(arguments, scratch: scratch).outcome()
      #expect(outcome.status == 0 && !outcome.output.isEmpty && outcome.errors.isEmpty)
    }
  }

  @Test("methods are listed, described and called from the schemas compiled in")
  func rpc() async throws {
    try await TestCluster.with(nodes: 2) { cluster in
      let list = try await cluster.run("rpc", "list")
      #expect(list.text.contains("holdfast.v1.Directory/OpenFile"))
      let message = try await cluster.run("rpc", "describe", "holdfast.v1.Manifest")
      #expect(message.text.contains("repeated holdfast.v1.ManifestChunk chunks = 4;"))
      let service = try await cluster.run("rpc", "describe", "Node")
      #expect(service.text.contains("rpc PutChunk(stream holdfast.v1.PutChunkRequest)"))
      let status = try await cluster.run(
        "rpc", "call", cluster.address, "holdfast.v1.Directory/GetStatus", "{}")
      #expect(status.status == 0, "\(status.errors)")
      #expect(try status.objects.first?["nodesUp"] as? Int == 2)
      let echo = try cluster.scratch.write(
        "requests", Array("{\"payload\": \"AQI=\"}\n{\"payload\": \"Aw==\"}\n".utf8))
      let answers = try await cluster.run(
        "rpc", "call", cluster.nodeAddresses[1] ?? "", "holdfast.v1.Node/Echo", "-", input: echo)
      #expect(try answers.objects.map { $0["payload"] as? String } == ["AQI=", "Aw=="])
      let unknown = try await cluster.run("rpc", "call", cluster.address, "holdfast.v1.None/At")
      #expect(unknown.status == 64 && unknown.errors.contains("rpc list"), "\(unknown.errors)")
      let missing = try await cluster.run(
        "rpc", "call", cluster.address, "holdfast.v1.Directory/GetEntry",
        "{\"name\": {\"bucket\": \"default\", \"key\": \"none\"}}")
      #expect(missing.status == 66, "\(missing.errors)")
    }
  }

  @Test("a port in use is told, and the server exits with 69")
  func portInUse() async throws {
    try await TestCluster.with(nodes: 1) { cluster in
      let second = try RunningProcess(
        ["directory", "--data", cluster.scratch.path("second"), "--listen", cluster.address],
        scratch: cluster.scratch)
      let outcome = await second.outcome()
      #expect(outcome.status == 69 && outcome.errors.contains("in use"), "\(outcome.errors)")
      let same = try RunningProcess(
        ["directory", "--data", cluster.scratch.path("directory"), "--listen", "127.0.0.1:0"],
        scratch: cluster.scratch)
      let locked = await same.outcome()
      #expect(
        locked.status == 73 && locked.errors.contains("another Directory"), "\(locked.errors)")
    }
  }

  @Test("dev stops cleanly, and has everything when it is started again")
  func dev() async throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    let bytes = noise(9 << 20, seed: 11)
    try scratch.write("in", bytes)
    let arguments = ["dev", "--data", scratch.path("data"), "--listen", "127.0.0.1:0"]
    for round in 0..<2 {
      let dev = try RunningProcess(arguments, scratch: scratch)
      let address = try await TestCluster.readyAddress(of: dev)
      let directory = ["--directory", address]
      if round == 0 {
        let put = try await RunningProcess(["put", "in", "kept"] + directory, scratch: scratch)
          .outcome()
        #expect(put.status == 0, "\(put.errors)")
        #expect(put.text.contains("3 copies"))
      }
      let get = try await RunningProcess(["get", "kept", "-"] + directory, scratch: scratch)
        .outcome()
      #expect(get.output == bytes, "\(get.errors)")
      #expect(await dev.end(with: round == 0 ? SIGTERM : SIGINT) == 0)
    }
  }
}
