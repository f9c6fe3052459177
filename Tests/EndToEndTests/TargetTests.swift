import Foundation
import Testing

/// What `get` does with what stands at its target, and `put` with a pipe.
@Suite(.serialized) struct TargetTests {
  /// The type and the mode of what stands at a path.
  private func look(_ path: String) -> (type: FileAttributeType?, mode: Int?) {
    let found = try? FileManager.default.attributesOfItem(atPath: path)
    return (
      found?[.type] as? FileAttributeType, (found?[.posixPermissions] as? NSNumber)?.intValue
    )
  }

  @Test(
    "a regular file is replaced and keeps its mode; a directory gets the file; links are followed")
  func files() async throws {
    try await TestCluster.with(nodes: 2) { cluster in
      let scratch = cluster.scratch
      let manager = FileManager.default
      try scratch.write("in", Array("new".utf8))
      #expect(try await cluster.run("put", "in", "a/stored").status == 0)

      for mode in [0o600, 0o755] {
        try scratch.write("old", Array("older".utf8))
        try manager.setAttributes([.posixPermissions: mode], ofItemAtPath: scratch.path("old"))
        #expect(try await cluster.run("get", "a/stored", "old").status == 0)
        #expect(scratch.read("old") == Data("new".utf8))
        #expect(look(scratch.path("old")).mode == mode)
      }

      try scratch.write("folder/other", [])
      for target in ["folder", "folder/"] {
        #expect(try await cluster.run("get", "a/stored", target).status == 0)
        #expect(scratch.read("folder/stored") == Data("new".utf8))
        try manager.removeItem(atPath: scratch.path("folder/stored"))
      }

      try scratch.write("folder/file", Array("older".utf8))
      try manager.createSymbolicLink(
        atPath: scratch.path("folder/first"), withDestinationPath: "file")
      try manager.createSymbolicLink(
        atPath: scratch.path("second"), withDestinationPath: scratch.path("folder/first"))
      try manager.createSymbolicLink(
        atPath: scratch.path("dangling"), withDestinationPath: "folder/made")
      try manager.createSymbolicLink(atPath: scratch.path("loop"), withDestinationPath: "loop")
      #expect(try await cluster.run("get", "a/stored", "second").status == 0)
      #expect(try await cluster.run("get", "a/stored", "dangling").status == 0)
      for name in ["folder/first", "second", "dangling"] {
        #expect(look(scratch.path(name)).type == .typeSymbolicLink, "\(name)")
      }
      #expect(scratch.read("folder/file") == Data("new".utf8))
      #expect(scratch.read("folder/made") == Data("new".utf8))
      let loop = try await cluster.run("get", "a/stored", "loop")
      #expect(loop.status != 0 && loop.errors.contains("loop"), "\(loop.errors)")
    }
  }

  @Test("a device, a pipe and a socket stay what they are", .timeLimit(.minutes(2)))
  func special() async throws {
    try await TestCluster.with(nodes: 2) { cluster in
      let scratch = cluster.scratch
      let bytes = noise(300_000, seed: 4)
      try scratch.write("in", bytes)
      #expect(try await cluster.run("put", "in", "stored").status == 0)

      // In a directory of this test, as a mistake must not cost the machine its own device.
      try FileManager.default.createSymbolicLink(
        atPath: scratch.path("null"), withDestinationPath: "/dev/null")
      #expect(try await cluster.run("get", "stored", "null").status == 0)
      #expect(look(scratch.path("null")).type == .typeSymbolicLink)
      #expect(look("/dev/null").type == .typeCharacterSpecial)

      #expect(mkfifo(scratch.path("pipe"), 0o600) == 0)
      let reader = try RunningProcess(
        program: "/bin/cat", [scratch.path("pipe")], scratch: scratch)
      async let read = reader.outcome()
      let get = try await cluster.run("get", "stored", "pipe")
      #expect(get.status == 0, "\(get.errors)")
      #expect(await read.output == bytes)
      #expect(look(scratch.path("pipe")).type == .typeUnknown)

      let server = try RunningProcess(
        [
          "directory", "--data", scratch.path("other"), "--listen",
          "unix:\(scratch.path("socket"))",
        ],
        scratch: scratch)
      _ = try await TestCluster.readyAddress(of: server)
      let refused = try await cluster.run("get", "stored", "socket")
      #expect(refused.status != 0 && refused.errors.contains("'socket'"), "\(refused.errors)")
      #expect(look(scratch.path("socket")).type == .typeSocket)
      await server.end(with: SIGKILL)
    }
  }

  @Test("what /dev/stdout leads to is written on, not replaced")
  func descriptors() async throws {
    try await TestCluster.with(nodes: 2) { cluster in
      try cluster.scratch.write("in", Array("stored\n".utf8))
      #expect(try await cluster.run("put", "in", "stored").status == 0)
      let script = """
        { echo before; "$0" get stored /dev/stdout; "$0" get stored /dev/fd/3; echo after; } > out 3>&1
        """
      let shell = try await RunningProcess(
        program: "/bin/sh", ["-c", script, RunningProcess.holdfast],
        environment: ["HOLDFAST_DIRECTORY": cluster.address], scratch: cluster.scratch
      ).outcome()
      #expect(shell.status == 0, "\(shell.errors)")
      #expect(cluster.scratch.read("out") == Data("before\nstored\nstored\nafter\n".utf8))
    }
  }

  @Test("a tree does not replace what is no regular file")
  func tree() async throws {
    try await TestCluster.with(nodes: 2) { cluster in
      let scratch = cluster.scratch
      try scratch.write("in", [1])
      try scratch.write("back/other", [])
      #expect(try await cluster.run("put", "in", "tree/pipe").status == 0)
      #expect(mkfifo(scratch.path("back/pipe"), 0o600) == 0)
      let get = try await cluster.run("get", "-r", "tree", "back")
      #expect(get.status == 73 && get.errors.contains("regular"), "\(get.errors)")
      #expect(look(scratch.path("back/pipe")).type == .typeUnknown)
    }
  }

  @Test("a pipe that has no writer yet is waited for", .timeLimit(.minutes(2)))
  func pipes() async throws {
    try await TestCluster.with(nodes: 2) { cluster in
      let scratch = cluster.scratch
      let bytes = noise(300_000, seed: 5)
      try scratch.write("in", bytes)
      #expect(mkfifo(scratch.path("pipe"), 0o600) == 0)
      let put = try cluster.start(["put", "pipe", "stored"])
      // Another one is done in the meantime: the first would be, too, if it didn't wait.
      for _ in 0..<2 { #expect(try await cluster.run("put", "in", "other").status == 0) }
      guard put.isRunning else {
        Issue.record("stored without a writer: \(await put.outcome().text)")
        return
      }
      let writer = try RunningProcess(
        program: "/bin/sh", ["-c", "exec cat in > pipe"], scratch: scratch)
      let outcome = await put.outcome()
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(await writer.outcome().status == 0)
      #expect(try await cluster.run("get", "stored", "-").output == bytes)
    }
  }
}
