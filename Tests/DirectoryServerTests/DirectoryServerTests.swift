import DirectoryServer
import MetadataStore
import RPC
import StoreModel
import StoreProtocol
import Testing

@Suite("DirectoryServer")
struct DirectoryServerTests {
  @Test("nodes that register are up and listed")
  func register() async throws {
    try await Fixture.run { directory in
      let answer = try await directory.client.registerNode(
        RegisterNodeRequest(
          node: 7, address: "h:1", zone: "z", statistics: Fixture.statistics))
      #expect(answer.cluster == directory.server.cluster)
      #expect(answer.heartbeatIntervalUs == 2_000_000)
      let nodes = try await directory.client.listNodes(ListNodesRequest()).nodes
      #expect(nodes.count == 1)
      #expect(nodes[0].id == 7 && nodes[0].address == "h:1" && nodes[0].zone == "z")
      #expect(nodes[0].state == .up && nodes[0].statistics == Fixture.statistics)
      #expect(nodes[0].lastHeartbeatUs == directory.time.wallClockMicroseconds)
    }
  }

  @Test("what a node may not say is refused")
  func badNodes() async throws {
    try await Fixture.run { directory in
      func register(_ request: RegisterNodeRequest) async -> StatusCode? {
        await status { try await directory.client.registerNode(request) }
      }
      let long = String(repeating: "x", count: 300)
      #expect(await register(RegisterNodeRequest(address: "h:1")) == .invalidArgument)
      #expect(await register(RegisterNodeRequest(node: 1)) == .invalidArgument)
      #expect(await register(RegisterNodeRequest(node: 1, address: "a b")) == .invalidArgument)
      #expect(await register(RegisterNodeRequest(node: 1, address: long)) == .invalidArgument)
      #expect(
        await register(RegisterNodeRequest(node: 1, address: "h:1", zone: long))
          == .invalidArgument)
      #expect(
        await register(RegisterNodeRequest(node: 1, cluster: "other", address: "h:1"))
          == .failedPrecondition)
      let listed = try await directory.client.listNodes(ListNodesRequest())
      #expect(listed.nodes.isEmpty)
    }
  }

  @Test("silence makes nodes suspect and dead, and chunks at risk show in the status")
  func silence() async throws {
    try await Fixture.run { directory in
      try await directory.register(3)
      try await directory.put("k")
      let healthy = try await directory.client.getStatus(GetStatusRequest())
      #expect(healthy.entries == 1 && healthy.bytes == 100 && healthy.nodesUp == 3)
      #expect(healthy.groups == 3 && healthy.groupsBelowTarget == 0)
      directory.time.advance(seconds: 11)
      try await directory.wait(for: [.suspect, .suspect, .suspect])
      let unknown = try await directory.client.getStatus(GetStatusRequest())
      #expect(unknown.nodesSuspect == 3 && unknown.groupsBelowTarget == 1)
      #expect(unknown.bytesBelowTarget == 100 && unknown.chunksUnavailable == 1)
      #expect(
        await status { try await directory.client.beginUpload(BeginUploadRequest()) }
          == .unavailable)
      directory.time.advance(seconds: 60)
      try await directory.wait(for: [.dead, .dead, .dead])
      try await directory.register(1)
      let one = try await directory.client.getStatus(GetStatusRequest())
      #expect(one.chunksAtOneCopy == 1 && one.chunksUnavailable == 0)
    }
  }

  @Test("heartbeats keep a node up; the stream's end makes it suspect at once")
  func heartbeats() async throws {
    try await Fixture.run { directory in
      try await directory.register(1)
      try await directory.client.heartbeat { writer, reader in
        for _ in 0..<20 {
          directory.time.advance(seconds: 5)
          try await writer.write(HeartbeatRequest(node: 1, statistics: Fixture.statistics))
          #expect(try await reader.next()?.groups.isEmpty == true)
          try await directory.wait(for: [.up])
        }
        try await writer.finish()
        #expect(try await reader.next() == nil)
      }
      try await directory.wait(for: [.suspect])
    }
  }

  @Test("a stream of reports ends when the server is to stop", .timeLimit(.minutes(1)))
  func drain() async throws {
    try await Fixture.run { directory in
      try await directory.register(1)
      let outcome = await status {
        try await directory.client.heartbeat { writer, reader in
          try await writer.write(HeartbeatRequest(node: 1, statistics: Fixture.statistics))
          _ = try await reader.next()
          // The stream alone would be waited for as long as this.
          directory.rpc.shutdown(grace: .seconds(300))
          while try await reader.next() != nil {}
        }
      }
      #expect(outcome == .unavailable)
    }
  }

  @Test("a node that leaves cleanly is suspect for half an hour, also over a restart")
  func leaving() async throws {
    let store = try Fixture.memory()
    try await Fixture.run(store: store) { directory in
      try await directory.register(1)
      try await directory.client.heartbeat { writer, reader in
        try await writer.write(HeartbeatRequest(node: 1, leaving: true))
        _ = try await reader.next()
        try await writer.finish()
        _ = try await reader.next()
      }
      try await directory.wait(for: [.suspect])
      directory.time.advance(seconds: 600)
      try await directory.wait(for: [.suspect])
    }
    try await Fixture.run(store: store) { directory in
      directory.time.advance(seconds: 1_700)
      try await directory.wait(for: [.suspect])
      directory.time.advance(seconds: 101)
      try await directory.wait(for: [.dead])
    }
  }

  @Test("a heartbeat stream belongs to one registered node")
  func strangeHeartbeats() async throws {
    try await Fixture.run { directory in
      try await directory.register(2)
      func send(_ nodes: [UInt64]) async -> StatusCode? {
        await status {
          try await directory.client.heartbeat { writer, reader in
            for node in nodes {
              try await writer.write(HeartbeatRequest(node: node))
              _ = try await reader.next()
            }
          }
        }
      }
      #expect(await send([9]) == .notFound)
      #expect(await send([1, 2]) == .invalidArgument)
    }
  }

  @Test("writers are offered full groups with addresses, made once for all who ask at once")
  func offers() async throws {
    try await Fixture.run { directory in
      #expect(
        await status { try await directory.client.beginUpload(BeginUploadRequest()) }
          == .unavailable)
      try await directory.register(3)
      let answers = try await withThrowingTaskGroup(of: BeginUploadResponse.self) { group in
        for _ in 0..<30 {
          group.addTask {
            try await directory.client.beginUpload(BeginUploadRequest(count: 10, groups: 16))
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      let ids = answers.flatMap { $0.firstUpload..<($0.firstUpload + UInt64($0.count)) }
      #expect(Set(ids).count == 300)
      for answer in answers {
        #expect(answer.chunkSize == 8 << 20 && answer.leaseUs == 86_400_000_000)
        #expect(answer.groups.count == 3)
        for group in answer.groups {
          #expect(Set(group.members.map(\.address)) == ["node-1:1", "node-2:1", "node-3:1"])
          #expect(group.epoch == 1 && group.storageClass == "replica-3")
        }
      }
      #expect(try await directory.store.groups().count == 3)
      for group in answers[0].groups {
        let again = try await directory.client.getGroup(GetGroupRequest(id: group.id))
        #expect(again.group == group)
      }
      #expect(
        await status { try await directory.client.getGroup(GetGroupRequest(id: 99)) } == .notFound)
    }
  }

  @Test("an upload goes on with groups without the nodes it could not write to")
  func continuedUpload() async throws {
    try await Fixture.run { directory in
      try await directory.register(3)
      let first = try await directory.client.beginUpload(BeginUploadRequest())
      let on = try await directory.client.beginUpload(
        BeginUploadRequest(groups: 4, avoidNodes: [2], continuedUpload: first.firstUpload))
      #expect(on.firstUpload == first.firstUpload && on.count == 1 && on.leaseUs > 0)
      #expect(!on.groups.isEmpty)
      #expect(on.groups.allSatisfy { $0.members.map(\.node).sorted() == [1, 3] })
      let receipt = try await directory.client.commitUpload(
        CommitUploadRequest(
          upload: first.firstUpload, name: directory.name("k"),
          manifest: WireManifest(
            size: 1, checksum: 3,
            chunks: [
              WireManifestChunk(
                id: WireChunkId(group: on.groups[0].id, upload: first.firstUpload, index: 0),
                length: 1, checksum: 3)
            ])))
      #expect(receipt.copies == 2 && receipt.targetCopies == 3 && receipt.nodes == [1, 3])
      #expect(
        await status {
          try await directory.client.beginUpload(
            BeginUploadRequest(continuedUpload: first.firstUpload))
        } == .failedPrecondition)
      let status = try await directory.client.getStatus(GetStatusRequest())
      #expect(status.groupsBelowTarget == 1 && status.bytesBelowTarget == 1)
    }
  }

  @Test("requests beyond the limits are refused")
  func limits() async throws {
    try await Fixture.run { directory in
      try await directory.register(3)
      let begins = [
        BeginUploadRequest(storageClass: "replica-9"), BeginUploadRequest(count: 1_025),
        BeginUploadRequest(groups: 17), BeginUploadRequest(avoidNodes: Array(1...1_025)),
      ]
      for request in begins {
        #expect(
          await status { try await directory.client.beginUpload(request) } == .invalidArgument)
      }
      let lists = [
        ListEntriesRequest(bucket: "B"), ListEntriesRequest(limit: 1_001),
        ListEntriesRequest(prefix: String(repeating: "x", count: 1_025)),
      ]
      for request in lists {
        #expect(
          await status { try await directory.client.listEntries(request) } == .invalidArgument)
      }
      #expect(
        await status {
          try await directory.client.deleteEntry(
            DeleteEntryRequest(name: directory.name("k"), idempotencyKey: [1]))
        } == .invalidArgument)
      #expect(
        await status { try await directory.client.getEntry(GetEntryRequest()) }
          == .invalidArgument)
      #expect(
        await status { try await directory.client.commitUpload(CommitUploadRequest()) }
          == .invalidArgument)
    }
  }

  @Test("a file's life: committed, opened, listed, renamed, copied, deleted")
  func names() async throws {
    try await Fixture.run { directory in
      let client = directory.client
      try await directory.register(3)
      let receipt = try await directory.put("a/1")
      #expect(receipt.fsynced && receipt.copies == 3 && receipt.nodes == [1, 2, 3])
      #expect(try await directory.put("a/0", isEmpty: true).copies == 3)
      let opened = try await client.openFile(OpenFileRequest(name: directory.name("a/1")))
      #expect(opened.entry == receipt.entry && opened.groups.count == 1)
      #expect(opened.manifest?.chunks.first?.id?.group == opened.groups.first?.id)
      let listed = try await client.listEntries(ListEntriesRequest(bucket: "b", delimiter: "/"))
      #expect(listed.prefixes == ["a/"] && listed.entries.isEmpty && listed.nextAfter.isEmpty)
      let page = try await client.listEntries(ListEntriesRequest(bucket: "b", limit: 1))
      #expect(page.entries.map(\.name?.key) == ["a/0"] && page.nextAfter == "a/0")

      let key: [UInt8] = Array(repeating: 1, count: 16)
      let rename = RenameEntryRequest(
        source: directory.name("a/1"), target: directory.name("z"), idempotencyKey: key)
      let renamed = try await client.renameEntry(rename)
      #expect(try await client.renameEntry(rename) == renamed)
      let copied = try await client.copyEntry(
        CopyEntryRequest(
          source: directory.name("z"), target: directory.name("y"),
          condition: WireCondition(kind: .absent(true))))
      let entry = try await client.getEntry(GetEntryRequest(name: directory.name("y")))
      #expect(entry.entry == copied.entry && entry.copies == 3 && entry.chunks == 1)
      #expect(
        await status {
          try await client.copyEntry(
            CopyEntryRequest(
              source: directory.name("z"), target: directory.name("y"),
              condition: WireCondition(kind: .absent(true))))
        } == .alreadyExists)
      let gone = try await client.deleteEntry(DeleteEntryRequest(name: directory.name("z")))
      #expect(gone.version == renamed.entry?.version)
      #expect(
        await status { try await client.openFile(OpenFileRequest(name: directory.name("z"))) }
          == .notFound)
      #expect(
        await status { try await client.abortUpload(AbortUploadRequest(upload: 1)) }
          == .failedPrecondition)
    }
  }

  @Test("after a restart files are there, and nodes are suspect until they are heard")
  func restart() async throws {
    let store = try Fixture.memory()
    try await Fixture.run(store: store) { directory in
      try await directory.register(3)
      try await directory.put("k")
    }
    try await Fixture.run(store: store) { directory in
      try await directory.wait(for: [.suspect, .suspect, .suspect])
      let opened = try await directory.client.openFile(
        OpenFileRequest(name: directory.name("k")))
      #expect(
        opened.groups.first?.members.map(\.address).sorted() == [
          "node-1:1", "node-2:1", "node-3:1",
        ]
      )
      try await directory.client.heartbeat { writer, reader in
        try await writer.write(HeartbeatRequest(node: 2, statistics: Fixture.statistics))
        _ = try await reader.next()
        try await directory.wait(for: [.suspect, .up, .suspect])
      }
    }
  }
}
