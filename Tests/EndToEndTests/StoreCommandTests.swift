import Foundation
import Testing

/// What `holdfast store` finds in a node's data directory.
@Suite(.serialized) struct StoreCommandTests {
  /// The first segment of the node, from the test's directory on.
  private static let segment = "node-1/segments/00000001.segment"

  /// A node that stored three chunks, of 3 bytes, 8 MiB and 1 MiB, and was ended as an administrator does.
  private static func withStore(_ body: (TestCluster) async throws -> Void) async throws {
    try await TestCluster.with(nodes: 1) { cluster in
      try cluster.scratch.write("small", [1, 2, 3])
      try cluster.scratch.write("large", noise(9 << 20, seed: 3))
      for name in ["small", "large"] {
        let put = try await cluster.run("put", "--class", "replica-1", name)
        #expect(put.status == 0, "\(put.errors)")
      }
      #expect(await cluster.nodes[1]?.end(with: SIGTERM) == 0)
      try await body(cluster)
    }
  }

  /// What a dump says of the chunks in the segment, by their lengths.
  private static func chunks(in cluster: TestCluster) async throws -> [Int: [String: Any]] {
    let dump = try await cluster.run("store", "dump", "--json", segment)
    #expect(dump.status == 0, "\(dump.errors)")
    let chunks = try dump.objects.filter { $0["kind"] as? String == "chunk" }
    return Dictionary(uniqueKeysWithValues: chunks.map { ($0["length"] as? Int ?? 0, $0) })
  }

  /// Flips a bit of the segment.
  private static func flip(_ offset: Int, in cluster: TestCluster) throws {
    var bytes = try #require(cluster.scratch.read(segment))
    bytes[offset] ^= 1
    try cluster.scratch.write(segment, Array(bytes))
  }

  @Test("a check of a sound store counts what is in it, and exits with 0")
  func sound() async throws {
    try await Self.withStore { cluster in
      let before = cluster.scratch.read(Self.segment)
      let text = try await cluster.run("store", "verify", "node-1")
      #expect(text.status == 0 && text.errors.isEmpty, "\(text.text)\(text.errors)")
      #expect(text.text.contains(/chunks +3 \(9/))
      #expect(text.text.contains(/damaged chunks +0/))
      let json = try await cluster.run("store", "verify", "--json", "node-1")
      #expect(json.status == 0)
      let object = try #require(try json.objects.first)
      #expect(object["chunks"] as? Int == 3)
      #expect(object["bytes"] as? Int == 3 + (9 << 20))
      #expect((object["damaged"] as? [Any])?.isEmpty == true)
      #expect((object["problems"] as? [Any])?.isEmpty == true)
      #expect(cluster.scratch.read(Self.segment) == before)
      // A node that uses it keeps it for itself.
      try await cluster.startNode(1)
      let inUse = try await cluster.run("store", "verify", "node-1")
      #expect(inUse.status == 73 && inUse.errors.contains("another process"), "\(inUse.errors)")
    }
  }

  @Test("a dump has a line for all that stands in a segment, whether it was ended or not")
  func dump() async throws {
    try await Self.withStore { cluster in
      let ended = try await cluster.run("store", "dump", Self.segment)
      #expect(ended.status == 0 && ended.errors.isEmpty, "\(ended.errors)")
      let lines = ended.text.split(separator: "\n")
      #expect(lines.first?.hasPrefix("segment 1 of disk ") == true)
      #expect(lines.count { $0.contains(" chunk ") } == 3)
      #expect(lines.contains { $0.contains(" 3 bytes ") && $0.contains("small") })
      #expect(lines.last?.contains("checkpoint of 3 chunks and 0 ended records") == true)
      let chunks = try await Self.chunks(in: cluster)
      #expect(Set(chunks.keys) == [3, 8 << 20, 1 << 20])
      #expect(chunks[3]?["key"] as? String == "small")

      try await cluster.startNode(1)
      try await cluster.waitForNodes(up: 1)
      #expect(try await cluster.run("put", "--class", "replica-1", "small", "late").status == 0)
      await cluster.killNode(1)
      let open = try await cluster.run("store", "dump", "node-1/segments/00000002.segment")
      #expect(open.status == 0 && open.text.contains("no checkpoint"), "\(open.text)")
      #expect(try await cluster.run("store", "verify", "node-1").text.contains(/chunks +4 \(/))
    }
  }

  @Test("a flipped bit is found: exit code 65, the segment, the chunk and the block")
  func flippedBit() async throws {
    try await Self.withStore { cluster in
      let chunk = try #require(try await Self.chunks(in: cluster)[8 << 20])
      let (id, offset) = (chunk["chunk"] as? String ?? "", chunk["offset"] as? Int ?? 0)
      // Its payload begins on a page behind its header, and the record ends with it.
      let payload = offset + (chunk["bytes"] as? Int ?? 0) - (8 << 20)
      try Self.flip(payload + 5 * (64 << 10), in: cluster)

      let text = try await cluster.run("store", "verify", "node-1")
      #expect(text.status == 65)
      #expect(text.text.contains(/damaged chunks +1/))
      let line = "segments/00000001.segment: chunk \(id) at byte \(offset) is damaged"
      #expect(text.text.split(separator: "\n").contains { $0 == line }, "\(text.text)")
      let json = try await cluster.run("store", "verify", "--json", "node-1")
      #expect(json.status == 65)
      let found = try #require(try json.objects.first?["damaged"] as? [[String: Any]])
      #expect(found.map { $0["chunk"] as? String } == [id])
      #expect(found.map { $0["path"] as? String } == ["segments/00000001.segment"])
      #expect(found.map { $0["offset"] as? Int } == [offset])

      let dump = try await cluster.run("store", "dump", Self.segment)
      #expect(dump.status == 65)
      let bad = dump.text.split(separator: "\n").filter { $0.contains("DAMAGED") }
      #expect(bad.count == 1)
      #expect(bad.first?.contains(" chunk \(id) ") == true)
      #expect(bad.first?.hasSuffix(" DAMAGED in blocks 5") == true, "\(bad)")
    }
  }

  @Test("a damaged checkpoint and a segment that is gone are told with exit code 65")
  func gone() async throws {
    try await Self.withStore { cluster in
      let size = try #require(cluster.scratch.read(Self.segment)).count
      // The checkpoint's first entry.
      try Self.flip(size - 2 * 4_096, in: cluster)
      let damaged = try await cluster.run("store", "verify", "node-1")
      #expect(damaged.status == 65)
      #expect(damaged.text.contains("segments/00000001.segment: its checkpoint is damaged"))
      let dump = try await cluster.run("store", "dump", Self.segment)
      #expect(dump.status == 65 && dump.text.contains("problem: the checkpoint"), "\(dump.text)")

      try FileManager.default.removeItem(atPath: cluster.scratch.path(Self.segment))
      let gone = try await cluster.run("store", "verify", "--json", "node-1")
      #expect(gone.status == 65)
      let problems = try gone.objects.first?["problems"] as? [[String: Any]] ?? []
      #expect(problems.map { $0["path"] as? String } == ["segments/00000001.segment"])
      #expect((problems.first?["message"] as? String)?.contains("is gone") == true)
    }
  }

  @Test("what is no store, and no segment, is told by message and exit code")
  func strangers() async throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    try scratch.write("thesis/thesis.tex", noise(10_000, seed: 5))
    try FileManager.default.createDirectory(
      atPath: scratch.path("empty"), withIntermediateDirectories: true)
    let cases: [([String], Int32, String)] = [
      (["verify", "missing"], 66, "missing"),
      (["verify", "thesis"], 73, "no disk of a node"),
      (["verify", "empty"], 73, "empty"),
      (["verify"], 64, "dir"),
      (["dump", "missing"], 66, "missing"),
      (["dump", "missing/00000001.segment"], 66, "missing"),
      (["dump", "thesis"], 65, "directory"),
      (["dump"], 64, "segment"),
    ]
    for (arguments, status, word) in cases {
      for json in arguments.count > 1 ? [[], ["--json"]] : [[]] {
        let outcome = try await RunningProcess(["store"] + arguments + json, scratch: scratch)
          .outcome()
        #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
        #expect(outcome.errors.hasPrefix("holdfast: "), "\(arguments): \(outcome.errors)")
        #expect(outcome.errors.contains(word), "\(arguments): \(outcome.errors)")
        #expect(outcome.output.isEmpty)
      }
    }
    let thesis = try await RunningProcess(
      ["store", "dump", "thesis/thesis.tex"], scratch: scratch
    ).outcome()
    #expect(thesis.status == 65 && thesis.text.contains("does not begin as a segment does"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path("empty")).isEmpty)
  }
}
