import Foundation
import Testing

/// What is acknowledged survives: processes are killed while files go up and come down.
@Suite(.serialized) struct FaultTests {
  @Test("a node is killed during uploads: what was acknowledged reads back, and writes go on")
  func nodeKilledDuringUploads() async throws {
    try await TestCluster.with { cluster in
      let size = 20 << 20
      for number in 0..<6 {
        try cluster.scratch.write("in-\(number)", noise(size, seed: UInt64(number + 1)))
      }
      let uploads = try (0..<6).map { number in
        try cluster.start(["put", "in-\(number)", "up-\(number)", "--json"])
      }
      _ = await uploads[0].outcome()
      await cluster.killNode(2)
      var acknowledged = 0
      for (number, upload) in uploads.enumerated() {
        let outcome = await upload.outcome()
        #expect([0, 69, 75].contains(outcome.status), "\(outcome.errors)")
        guard outcome.status == 0 else { continue }
        acknowledged += 1
        let get = try await cluster.run("get", "up-\(number)", "out")
        #expect(get.status == 0, "\(get.errors)")
        #expect(cluster.scratch.read("out") == cluster.scratch.read("in-\(number)"))
      }
      #expect(acknowledged > 0)
      let later = try await cluster.run("put", "in-0", "later", "--json")
      #expect(later.status == 0, "\(later.errors)")
      #expect(try later.objects.first?["copies"] as? Int == 2)
      #expect(try later.objects.first?["target_copies"] as? Int == 3)
      let said = try await cluster.run("put", "in-0", "later-still")
      #expect(said.text.contains("2 copies (3 wanted"))
    }
  }

  @Test("a node is killed during downloads: they go on from the others")
  func nodeKilledDuringDownloads() async throws {
    try await TestCluster.with { cluster in
      let bytes = noise(60 << 20, seed: 3)
      try cluster.scratch.write("in", bytes)
      #expect(try await cluster.run("put", "in", "down").status == 0)
      let downloads = try (0..<4).map { number in
        try cluster.start(["get", "down", "out-\(number)"])
      }
      await cluster.killNode(1)
      for (number, download) in downloads.enumerated() {
        let outcome = await download.outcome()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(cluster.scratch.read("out-\(number)") == Data(bytes))
      }
    }
  }

  @Test("the Directory is killed: everything acknowledged is there after its restart")
  func directoryKilled() async throws {
    try await TestCluster.with { cluster in
      let bytes = noise(12 << 20, seed: 5)
      try cluster.scratch.write("in", bytes)
      for number in 0..<5 {
        #expect(try await cluster.run("put", "in", "kept-\(number)").status == 0)
      }
      await cluster.killDirectory()
      let away = try await cluster.run("stat", "kept-0")
      #expect(away.status == 69, "\(away.errors)")
      #expect(away.errors.hasPrefix("holdfast: "))
      let waiting = try cluster.start(["put", "in", "during"])
      try await cluster.startDirectory()
      try await cluster.waitForNodes(up: 3)
      let status = await waiting.outcome().status
      #expect([0, 69, 75].contains(status))
      if status == 0 { #expect(try await cluster.run("get", "during", "-").output == bytes) }
      #expect(try await cluster.run("ls", "kept-", "--json").objects.count == 5)
      for number in 0..<5 {
        #expect(try await cluster.run("get", "kept-\(number)", "-").output == bytes)
      }
      #expect(try await cluster.run("put", "in", "after").status == 0)
    }
  }

  @Test("the Directory is killed under running uploads: what was acknowledged is there")
  func directoryKilledDuringUploads() async throws {
    try await TestCluster.with { cluster in
      let bytes = noise(9 << 20, seed: 11)
      try cluster.scratch.write("in", bytes)
      let uploads = try (0..<8).map { try cluster.start(["put", "in", "up-\($0)"]) }
      // The first one's end says that the others are under way.
      var statuses = [await uploads[0].outcome().status]
      await cluster.killDirectory()
      try await cluster.startDirectory()
      for upload in uploads.dropFirst() { statuses.append(await upload.outcome().status) }
      try await cluster.waitForNodes(up: 3)
      #expect(statuses.allSatisfy { [0, 69, 75].contains($0) }, "\(statuses)")
      for (number, status) in statuses.enumerated() where status == 0 {
        #expect(try await cluster.run("get", "up-\(number)", "-").output == bytes)
      }
      #expect(statuses.contains(0))
    }
  }

  @Test("any node is killed while files go up and down: nothing acknowledged is lost or wrong")
  func anyNodeKilled() async throws {
    try await TestCluster.with { cluster in
      let bytes = noise(18 << 20, seed: 13)
      try cluster.scratch.write("in", bytes)
      #expect(try await cluster.run("put", "in", "before").status == 0)
      for victim in 1...3 {
        let puts = try (0..<4).map { try cluster.start(["put", "in", "up-\(victim)-\($0)"]) }
        let gets = try (0..<3).map { try cluster.start(["get", "before", "out-\($0)"]) }
        _ = await gets[0].outcome()
        await cluster.killNode(victim)
        for (number, get) in gets.enumerated() {
          let outcome = await get.outcome()
          #expect(outcome.status == 0, "\(outcome.errors)")
          #expect(cluster.scratch.read("out-\(number)") == Data(bytes))
        }
        for (number, put) in puts.enumerated() {
          let outcome = await put.outcome()
          #expect([0, 69, 75].contains(outcome.status), "\(outcome.errors)")
          guard outcome.status == 0 else { continue }
          #expect(try await cluster.run("get", "up-\(victim)-\(number)", "-").output == bytes)
        }
        try await cluster.startNode(victim)
        try await cluster.waitForNodes(up: 3)
      }
    }
  }

  @Test("garbage sent to the servers' ports leaves them up")
  func garbage() async throws {
    try await TestCluster.with { cluster in
      for address in [cluster.address] + cluster.nodeAddresses.values.sorted() {
        for seed in 1...3 {
          try await send(noise(100_000 / seed, seed: UInt64(seed)), to: address, cluster.scratch)
        }
        try await send(Array("GET / HTTP/1.1\r\n\r\n".utf8), to: address, cluster.scratch)
      }
      try cluster.scratch.write("in", [1, 2, 3])
      #expect(try await cluster.run("put", "in", "after").status == 0)
      #expect(try await cluster.run("get", "after", "-").output == [1, 2, 3])
      #expect(try await cluster.run("status", "--json").objects.first?["nodes_up"] as? Int == 3)
    }
  }

  /// Writes bytes to a port with the shell's own means and closes the connection.
  private func send(_ bytes: [UInt8], to address: String, _ scratch: Scratch) async throws {
    let file = try scratch.write("garbage", bytes)
    let parts = address.split(separator: ":")
    let shell = try RunningProcess(
      program: "/bin/bash",
      ["-c", "exec 3<>/dev/tcp/\(parts[0])/\(parts[1]); cat '\(file)' >&3; exec 3>&-"],
      scratch: scratch)
    _ = await shell.outcome()
  }
}
