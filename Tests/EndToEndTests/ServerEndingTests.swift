import Foundation
import RPC
import Testing

/// How servers end: when they can't serve, and when they are told to.
@Suite(.serialized) struct ServerEndingTests {
  @Test(
    "a node of another cluster says which cluster each is of, and ends", .timeLimit(.minutes(2)))
  func otherCluster() async throws {
    try await TestCluster.with(nodes: 1) { cluster in
      let first = try #require(try await cluster.run("status", "--json").objects.first)
      await cluster.killNode(1)
      let other = try RunningProcess(
        ["directory", "--data", cluster.scratch.path("other"), "--listen", "127.0.0.1:0"],
        scratch: cluster.scratch)
      let address = try await TestCluster.readyAddress(of: other)
      let status = try await RunningProcess(
        ["status", "--json", "--directory", address], scratch: cluster.scratch
      ).outcome()
      let node = try await RunningProcess(
        ["node", "--data", cluster.scratch.path("node-1"), "--directory", address],
        scratch: cluster.scratch
      ).outcome()
      #expect(node.status == 73, "\(node.errors)")
      let said = node.errors.split(separator: "\n").last { $0.hasPrefix("holdfast: ") } ?? ""
      for object in [first, try #require(try status.objects.first)] {
        #expect(said.contains(try #require(object["cluster"] as? String)), "\(node.errors)")
      }
      await other.end(with: SIGKILL)
    }
  }

  @Test("a cluster of dev with another's node says so, and ends", .timeLimit(.minutes(2)))
  func foreignNodeOfDev() async throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    func dev(_ data: String) throws -> RunningProcess {
      try RunningProcess(
        ["dev", "--nodes", "1", "--data", data, "--listen", "127.0.0.1:0"], scratch: scratch)
    }
    for data in ["one", "two"] {
      let process = try dev(data)
      _ = try await TestCluster.readyAddress(of: process)
      #expect(await process.end(with: SIGTERM) == 0)
    }
    try FileManager.default.removeItem(atPath: scratch.path("two/node-1"))
    try FileManager.default.moveItem(
      atPath: scratch.path("one/node-1"), toPath: scratch.path("two/node-1"))
    let outcome = try await dev("two").outcome()
    #expect(outcome.status == 73 && outcome.errors.contains("belongs to"), "\(outcome.errors)")
  }

  @Test("a node whose port is in use says so, and ends", .timeLimit(.minutes(2)))
  func portInUse() async throws {
    try await TestCluster.with(nodes: 0) { cluster in
      let node = try await RunningProcess(
        [
          "node", "--data", cluster.scratch.path("node-1"), "--directory", cluster.address,
          "--listen", cluster.address,
        ], scratch: cluster.scratch
      ).outcome()
      #expect(node.status == 69 && node.errors.contains("in use"), "\(node.errors)")
    }
  }

  @Test("a Directory stops at once while nodes report to it, and they find it again")
  func directoryRestart() async throws {
    try await TestCluster.with(nodes: 2) { cluster in
      let clock = SystemTimeSource()
      let begin = clock.now
      #expect(await cluster.stopDirectory() == 0)
      // Calls that go on for ever would be waited for five seconds.
      #expect(begin.duration(to: clock.now) < .seconds(5))
      try await cluster.startDirectory()
      try await cluster.waitForNodes(up: 2)
    }
  }
}
