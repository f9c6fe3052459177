import Checksum
import ChunkStore
import NIOCore
import RPC
import Schema
import StoreModel
import StoreProtocol
import Synchronization
import Testing

@testable import NodeServer

@Suite("Node")
struct NodeServerTests {
  @Test("a chunk is stored on every member of its group and read back from each, in ranges too")
  func groupWrite() async throws {
    try await TestCluster.run(nodes: 3) { cluster in
      for (upload, length) in [(1, 1), (2, 4_096), (3, 300_000), (4, 1_200_000)] {
        let bytes = pattern(length, seed: UInt64(upload))
        let response = try await cluster.put(
          bytes, upload: UInt64(upload), forward: cluster.members(1, 2))
        #expect(response.replicas.map(\.node) == [1, 2, 3])
        #expect(response.replicas.map(\.code) == [0, 0, 0])
        for node in 0..<3 {
          #expect(try await cluster.get(UInt64(upload), from: node).bytes == bytes)
        }
      }
      let part = try await cluster.get(3, from: 2, offset: 70_000, length: 70_000)
      #expect(part.offset == 65_536)
      #expect(part.bytes == Array(pattern(300_000, seed: 3)[65_536..<196_608]))
      let stat = try await cluster.client(1).statChunk(
        StatChunkRequest(id: WireChunkId(group: 7, upload: 3, index: 0)))
      #expect(stat.checksum == CRC32C.checksum(of: pattern(300_000, seed: 3)))
      #expect(stat.header?.name?.key == "file-3")
    }
  }

  @Test("the same chunk again is a success, another content is refused by each replica")
  func putAgain() async throws {
    try await TestCluster.run(nodes: 2) { cluster in
      let bytes = pattern(1_000, seed: 1)
      for _ in 0..<2 {
        let response = try await cluster.put(bytes, upload: 1, forward: cluster.members(1))
        #expect(response.replicas.map(\.code) == [0, 0])
      }
      let other = pattern(1_000, seed: 2)
      let conflict = await status { _ = try await cluster.put(other, upload: 1) }
      #expect(conflict == .alreadyExists)
    }
  }

  @Test("a member that is gone says so in its result; the others have the chunk")
  func deadMember() async throws {
    try await TestCluster.run(nodes: 3) { cluster in
      cluster.network.setReachable(TestCluster.address(1), false)
      for length in [5_000, 900_000] {
        let bytes = pattern(length, seed: 1)
        let response = try await cluster.put(
          bytes, upload: UInt64(length), forward: cluster.members(1, 2))
        #expect(response.replicas.map(\.node) == [1, 2, 3])
        #expect(response.replicas.map { $0.code == 0 } == [true, false, true])
        #expect(try await cluster.get(UInt64(length), from: 2).bytes == bytes)
      }
    }
  }

  @Test("a member whose disk is full says so; a first node whose disk is full fails the call")
  func fullDisks() async throws {
    try await TestCluster.run(nodes: 2) { cluster in
      let bytes = pattern(500_000, seed: 1)
      cluster.disks[1].capacityBytes = 0
      let response = try await cluster.put(bytes, upload: 1, forward: cluster.members(1))
      #expect(response.replicas.last?.code == UInt32(StatusCode.resourceExhausted.rawValue))
      cluster.disks[1].capacityBytes = 1 << 30
      cluster.disks[0].capacityBytes = 0
      let full = await status {
        // More than the room that the node has set aside already.
        let large = pattern(5_000_000, seed: 2)
        _ = try await cluster.put(large, upload: 2, forward: cluster.members(1))
      }
      #expect(full == .resourceExhausted)
      #expect(await status { _ = try await cluster.get(2, from: 1) } == .notFound)
    }
  }

  @Test("bytes with another checksum are stored nowhere")
  func wrongChecksum() async throws {
    try await TestCluster.run(nodes: 2) { cluster in
      let bytes = pattern(200_000, seed: 1)
      let wrong = await status {
        _ = try await cluster.put(bytes, upload: 1, forward: cluster.members(1), checksum: 5)
      }
      #expect(wrong == .dataLoss)
      for node in 0..<2 {
        #expect(await status { _ = try await cluster.get(1, from: node) } == .notFound)
        #expect(cluster.disks[node].files.allSatisfy { !$0.hasPrefix("tmp/") })
      }
    }
  }

  @Test("a chunk for an epoch older than the Directory told is refused")
  func staleEpoch() async throws {
    try await TestCluster.run(nodes: 1) { cluster in
      _ = try await cluster.put([1], upload: 1, epoch: 4)
      let seen = cluster.directory.state.withLock { state in
        state.groups = [WirePlacementGroup(id: 7, epoch: 5, storageClass: "replica-1")]
        return state.reports.count
      }
      // The answer to the next report carries the epoch; the one after it shows that it was read.
      await cluster.directory.changed.wait {
        cluster.directory.state.withLock { $0.reports.count >= seen + 2 }
      }
      #expect(
        await status { _ = try await cluster.put([1], upload: 2, epoch: 4) } == .failedPrecondition)
      #expect(try await cluster.put([1], upload: 2, epoch: 5).replicas.count == 1)
    }
  }

  @Test(
    "a damaged chunk is DATA_LOSS, a missing one NOT_FOUND, a range beyond the end OUT_OF_RANGE")
  func readErrors() async throws {
    try await TestCluster.run(nodes: 1) { cluster in
      _ = try await cluster.put(pattern(200_000, seed: 1), upload: 1)
      #expect(await status { _ = try await cluster.get(9, from: 0) } == .notFound)
      #expect(
        await status { _ = try await cluster.get(1, from: 0, offset: 200_000) } == .outOfRange)
      #expect(
        await status { _ = try await cluster.get(1, from: 0, offset: 199_999, length: 2) }
          == .outOfRange)
      let file = try #require(cluster.disks[0].files.first { $0.hasSuffix(".segment") })
      // The segment's header and the record's, of a disk block each, stand before the chunk.
      cluster.disks[0].corrupt(file) { $0[8_192 + 190_000] ^= 1 }
      #expect(await status { _ = try await cluster.get(1, from: 0) } == .dataLoss)
      #expect(try await cluster.get(1, from: 0, length: 65_536).bytes.count == 65_536)
    }
  }

  @Test("a chunk that a read finds damaged is fetched anew from another replica that has it whole")
  func healing() async throws {
    try await TestCluster.run(nodes: 3, configure: { $0.healInterval = .milliseconds(1) }) {
      cluster in
      cluster.directory.state.withLock { state in
        state.groups = [
          WirePlacementGroup(
            id: 7, epoch: 1, storageClass: "replica-3", members: cluster.members(0, 1, 2))
        ]
      }
      let bytes = pattern(200_000, seed: 1)
      _ = try await cluster.put(bytes, upload: 1, forward: cluster.members(1, 2))
      // Of three copies one is whole; in one of the others even the record's header is damaged.
      for (node, place) in [(0, 8_192 + 190_000), (1, 4_096 + 90)] {
        let file = try #require(cluster.disks[node].files.first { $0.hasSuffix(".segment") })
        cluster.disks[node].corrupt(file) { $0[place] ^= 1 }
        #expect(await status { _ = try await cluster.get(1, from: node) } == .dataLoss)
      }
      for node in [0, 1] {
        while await status({ _ = try await cluster.get(1, from: node) }) == .dataLoss {}
        #expect(try await cluster.get(1, from: node).bytes == bytes)
        #expect(await cluster.stores[node].damagedChunks().isEmpty)
      }
    }
  }

  @Test("a damaged chunk stays what it is while nobody has a good copy, or only another content")
  func noGoodCopy() async throws {
    try await TestCluster.run(nodes: 2, configure: { $0.healInterval = .milliseconds(1) }) {
      cluster in
      _ = try await cluster.put(pattern(200_000, seed: 1), upload: 1)
      _ = try await cluster.put(pattern(200_000, seed: 2), upload: 1, to: 1)
      cluster.directory.state.withLock { state in
        state.groups = [
          WirePlacementGroup(
            id: 7, epoch: 1, storageClass: "replica-2", members: cluster.members(0, 1))
        ]
      }
      let file = try #require(cluster.disks[0].files.first { $0.hasSuffix(".segment") })
      cluster.disks[0].corrupt(file) { $0[8_192 + 190_000] ^= 1 }
      for _ in 0..<200 {
        #expect(await status { _ = try await cluster.get(1, from: 0) } == .dataLoss)
      }
      #expect(try await cluster.get(1, from: 1).bytes == pattern(200_000, seed: 2))
    }
  }

  @Test("chunks are listed in order and deleted for good")
  func listAndDelete() async throws {
    try await TestCluster.run(nodes: 1) { cluster in
      for upload in [3, 1, 2] as [UInt64] {
        _ = try await cluster.put([UInt8(upload)], upload: upload)
      }
      let id = WireChunkId(group: 7, upload: 2, index: 0)
      _ = try await cluster.client(0).deleteChunk(DeleteChunkRequest(id: id))
      #expect(
        await status { _ = try await cluster.client(0).deleteChunk(DeleteChunkRequest(id: id)) }
          == .notFound)
      // Over the wire, too, what was deleted is something else than what never was.
      for (upload, expected) in [(2, StoreError.Code.deleted), (9, .notFound)] {
        do {
          _ = try await cluster.get(UInt64(upload), from: 0)
          Issue.record("chunk \(upload) is there")
        } catch let error as RPCError {
          #expect(error.code == .notFound && StoreError(error).code == expected)
        }
      }
      let uploads = try await cluster.client(0).listChunks(ListChunksRequest()) { reader in
        var uploads: [UInt64?] = []
        for try await page in reader { uploads += page.chunks.map { $0.header?.id?.upload } }
        return uploads
      }
      #expect(uploads == [1, 3])
      let status = try await cluster.client(0).getNodeStatus(GetNodeStatusRequest())
      #expect(status.node?.id == 1)
      #expect(status.node?.address == "node-0")
      #expect(status.node?.statistics?.chunks == 2)
      #expect(status.cluster == "test-cluster")
    }
  }

  @Test("echo sends back what came, bodies too")
  func echo() async throws {
    try await TestCluster.run(nodes: 1) { cluster in
      let answers = try await cluster.client(0).echo { writer, reader in
        var answers: [EchoResponse] = []
        for size in [0, 10, 100_000] {
          let data = Body(ByteBuffer(bytes: pattern(size, seed: 1)))
          try await writer.write(EchoRequest(payload: [1, 2], data: data))
          if let answer = try await reader.next() { answers.append(answer) }
        }
        try await writer.finish()
        return answers
      }
      #expect(answers.map(\.data.count) == [0, 10, 100_000])
      #expect(answers.allSatisfy { $0.payload == [1, 2] })
    }
  }

  @Test("a node that is told to stop says that it leaves, and ends")
  func leaving() async throws {
    try await TestCluster.run(nodes: 2) { cluster in
      cluster.nodes[1].stop()
      await cluster.directory.changed.wait {
        cluster.directory.state.withLock { $0.reports.contains { $0.node == 2 && $0.leaving } }
      }
      let response = try await cluster.put([1], upload: 1)
      #expect(response.replicas.count == 1)
    }
  }

  @Test("a node whose Directory was cut off registers again")
  func reconnect() async throws {
    try await TestCluster.run(nodes: 1) { cluster in
      cluster.network.cut(Address("directory"))
      await cluster.directory.changed.wait {
        cluster.directory.state.withLock { $0.registered.count >= 2 }
      }
      #expect(cluster.directory.state.withLock { $0.registered.last?.cluster } == "test-cluster")
    }
  }

  @Test("a writer that stalls is given up and leaves nothing")
  func stalledWriter() async throws {
    try await TestCluster.run(
      nodes: 1, configure: { $0.writerIdleLimit = .milliseconds(100) }
    ) { cluster in
      #expect(await status { try await Self.stall(cluster, upload: 1) } == .deadlineExceeded)
    }
  }

  @Test("writers that stall don't keep others from the memory that they have")
  func stalledWriters() async throws {
    try await TestCluster.run(
      nodes: 1,
      configure: {
        $0.writerIdleLimit = .seconds(3_600)
        $0.writerPatience = .milliseconds(20)
      }
    ) { cluster in
      try await withThrowingTaskGroup(of: StatusCode?.self) { group in
        for upload in 1...20 as ClosedRange<UInt64> {
          group.addTask { await status { try await Self.stall(cluster, upload: upload) } }
        }
        while !cluster.stores[0].isShortOfMemory { await Task.yield() }
        let bytes = pattern(2_000_000, seed: 99)
        _ = try await cluster.put(bytes, upload: 99)
        #expect(try await cluster.get(99, from: 0).bytes == bytes)
        group.cancelAll()
        // Those that were given up were told so; where nobody waits any more, nobody is given up.
        for try await outcome in group {
          #expect(outcome == .deadlineExceeded || outcome == .cancelled)
        }
      }
    }
  }

  /// Begins a put and says nothing more until the node gives it up.
  private static func stall(_ cluster: TestCluster, upload: UInt64) async throws {
    let header = ChunkHeader(
      id: WireChunkId(group: 7, upload: upload, index: 0), epoch: 1, length: 2_000_000,
      name: WireName(bucket: "default", key: "k"))
    let channel = cluster.client(0).channel
    try await channel.stream(NodeMethods.putChunk, options: CallOptions()) { writer, reader in
      try await writer.write(
        PutChunkRequest(header: header, data: Body(ByteBuffer(repeating: 1, count: 400_000))))
      _ = try await reader.next()
    }
  }
}
