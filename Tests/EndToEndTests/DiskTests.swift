import Foundation
import RPC
import Testing

/// Disks that fill up and commands that are broken off: nothing half done is left, and nothing lost.
@Suite(.serialized) struct DiskTests {
  @Test(
    "a full node is passed over; when all are full, writes are refused and what is stored stays",
    .enabled(if: RunningProcess.canMountDisks, "this system gives a test no disk of its own"))
  func fullNodes() async throws {
    try await TestCluster.with(nodes: 1) { cluster in
      try await cluster.startNode(2, diskMebibytes: 24)
      try await cluster.waitForNodes(up: 2)
      let bytes = noise(9 << 20, seed: 7)
      try cluster.scratch.write("in", bytes)
      var stored: [String] = []
      var refusal: RunningProcess.Outcome?
      for number in 0..<6 where refusal == nil {
        let put = try await cluster.run("put", "in", "file-\(number)")
        if put.status == 0 { stored.append("file-\(number)") } else { refusal = put }
      }
      #expect(!stored.isEmpty)
      #expect(refusal?.status == 69, "six files of 9 MiB don't fit into 24 MiB twice")
      #expect(refusal?.errors.contains("full") == true, "\(refusal?.errors ?? "")")
      let single = try await cluster.run("put", "--class", "replica-1", "in", "single")
      #expect(single.status == 0, "the other node has room: \(single.errors)")
      for name in stored + ["single"] {
        #expect(try await cluster.run("get", name, "-").output == bytes)
      }
      #expect(try await cluster.run("get", "file-\(stored.count)", "-").status == 66)
    }
  }

  @Test(
    "when every node is full, a write is refused at once, the first as the later ones",
    .enabled(if: RunningProcess.canMountDisks, "this system gives a test no disk of its own"))
  func fullCluster() async throws {
    try await TestCluster.with(nodes: 0) { cluster in
      for number in 1...3 { try await cluster.startNode(number, diskMebibytes: 24) }
      try await cluster.waitForNodes(up: 3)
      try cluster.scratch.write("in", noise(7 << 20, seed: 7))
      let time = SystemTimeSource()
      for storageClass in ["replica-3", "replica-2", "replica-1"] {
        var refusals = 0
        for number in 0..<12 where refusals < 3 {
          let began = time.now
          let put = try await cluster.run(
            "put", "--class", storageClass, "in", "\(storageClass)/\(number)")
          guard put.status != 0 else { continue }
          refusals += 1
          #expect(put.status == 69, "\(put.errors)")
          #expect(put.errors.contains("full") && put.errors.contains("delete files or add nodes"))
          // Waiting for room takes 30 s.
          #expect(began.duration(to: time.now) < .seconds(15), "\(put.errors)")
        }
        #expect(refusals == 3)
      }
    }
  }

  @Test(
    "a Directory whose disk is full refuses new names and keeps the others",
    .enabled(if: RunningProcess.canMountDisks, "this system gives a test no disk of its own"))
  func fullDirectory() async throws {
    try await TestCluster.with(nodes: 0) { cluster in
      try await cluster.replaceDirectory(diskMebibytes: 1)
      try await cluster.startNode(1)
      try await cluster.waitForNodes(up: 1)
      try cluster.scratch.write("in", [1, 2, 3])
      var stored: [String] = []
      var refusal: RunningProcess.Outcome?
      while refusal == nil, stored.count < 1_000 {
        let name = String(repeating: "k", count: 900) + "\(stored.count)"
        let put = try await cluster.run("put", "--class", "replica-1", "in", name)
        if put.status == 0 { stored.append(name) } else { refusal = put }
      }
      #expect(!stored.isEmpty)
      #expect(refusal?.status == 69, "\(refusal?.errors ?? "")")
      #expect(refusal?.errors.contains("disk is full") == true, "\(refusal?.errors ?? "")")
      #expect(try await cluster.run("ls", "--json").objects.count == stored.count)
      let last = try #require(stored.last)
      #expect(try await cluster.run("get", last, "-").output == [1, 2, 3])
    }
  }

  @Test("a node that has a disk refuses an empty directory until it is made a disk on purpose")
  func addedDisk() async throws {
    try await TestCluster.with(nodes: 1) { cluster in
      await cluster.killNode(1)
      let (old, new) = (cluster.scratch.path("node-1"), cluster.scratch.path("disk-2"))
      let arguments = ["node", "--data", old, "--data", new]
      let refusal = try await cluster.start(arguments).outcome()
      #expect(refusal.status == 73 && refusal.errors.contains("add-disk"), "\(refusal.errors)")
      #expect(try await cluster.run("store", "add-disk", new, "--data", new).status == 66)
      let added = try await cluster.run("store", "add-disk", new, "--data", old)
      #expect(added.status == 0, "\(added.errors)")
      #expect(try await cluster.run("store", "add-disk", new, "--data", old).status == 73)
      // What is somebody else's is left as it is.
      try cluster.scratch.write("photos/a.jpg", [1])
      let foreign = cluster.scratch.path("photos")
      #expect(try await cluster.run("store", "add-disk", foreign, "--data", old).status == 73)
      #expect(try FileManager.default.contentsOfDirectory(atPath: foreign) == ["a.jpg"])
      let directory = try await cluster.run("directory", "--data", old, "--listen", "127.0.0.1:0")
      #expect(directory.status == 73 && directory.errors.contains("node"), "\(directory.errors)")
      #expect(cluster.scratch.read("node-1/directory.sqlite") == nil)
      let node = try cluster.start(arguments)
      _ = try await TestCluster.readyAddress(of: node)
      _ = await node.end(with: SIGKILL)
    }
  }

  @Test("a download that is broken off leaves no file, and an older one as it was")
  func interrupted() async throws {
    try await TestCluster.with(nodes: 1) { cluster in
      try cluster.scratch.write("in", noise(20 << 20, seed: 9))
      try cluster.scratch.write("out", [7])
      #expect(try await cluster.run("put", "--class", "replica-1", "in", "big").status == 0)
      let names = try FileManager.default.contentsOfDirectory(atPath: cluster.scratch.root)
      // The node stands still, so the download can't end before the signal.
      cluster.nodes[1]?.send(SIGSTOP)
      let get = try cluster.start(["get", "big", "out"])
      while !get.openFiles.contains(where: { $0.hasPrefix(cluster.scratch.root + "/#") }) {
        try #require(get.isRunning, "it began to write before it ended: \(get.errorText)")
        await Task.yield()
      }
      #expect(await get.end(with: SIGINT) == -SIGINT)
      cluster.nodes[1]?.send(SIGCONT)
      #expect(cluster.scratch.read("out") == Data([7]))
      let after = try FileManager.default.contentsOfDirectory(atPath: cluster.scratch.root)
      #expect(Set(after).subtracting(names).allSatisfy { $0.hasPrefix("errors-") }, "\(after)")
      #expect(try await cluster.run("get", "big", "out").status == 0)
      #expect(cluster.scratch.read("out") == cluster.scratch.read("in"))
    }
  }
}
