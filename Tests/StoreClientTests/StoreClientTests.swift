import NIOCore
import RPC
import StoreModel
import StoreProtocol
import Synchronization
import Testing

@testable import StoreClient

@Suite struct StoreClientTests {
  private func content(_ count: Int) -> ByteBuffer {
    ByteBuffer(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) })
  }

  private func name(_ key: String) throws -> Name {
    try Name(bucket: Name.defaultBucket, key: key)
  }

  @Test(
    "what was stored is read back",
    arguments: [0, 1, 65_536, 99_999, 100_000, 100_001, 1_234_567])
  func roundTrip(count: Int) async throws {
    try await FakeCluster.with { cluster, client in
      let bytes = content(count)
      let receipt = try await client.upload(bytes, to: try name("a"))
      #expect(receipt.entry.size == UInt64(count))
      #expect(receipt.fsynced && receipt.copies == 3)
      #expect(try await client.contents(of: try name("a"), upTo: count) == bytes)
    }
  }

  @Test("a range reads its bytes alone")
  func range() async throws {
    try await FakeCluster.with { cluster, client in
      let bytes = content(350_000)
      _ = try await client.upload(bytes, to: try name("a"))
      let read = Mutex(ByteBuffer())
      try await client.download(try name("a"), range: 99_990..<200_010) { piece in
        read.withLock { _ = $0.writeImmutableBuffer(piece) }
      }
      #expect(read.withLock { $0 } == bytes.getSlice(at: 99_990, length: 100_020))
    }
  }

  @Test(
    "a node that can't store a chunk is avoided, and the receipt says how many copies there are",
    arguments: [StatusCode.unavailable, .resourceExhausted, .internal])
  func failingReplica(code: StatusCode) async throws {
    try await FakeCluster.with { cluster, client in
      cluster.setFault(.refusesPuts(code), of: 2)
      let bytes = content(450_000)
      let receipt = try await client.upload(bytes, to: try name("a"))
      #expect(receipt.copies == 2)
      #expect(receipt.nodes == [NodeID(1), NodeID(3)])
      #expect(cluster.chunkCount(of: 2) == 0)
      #expect(try await client.contents(of: try name("a"), upTo: 450_000) == bytes)
    }
  }

  @Test("when all nodes are full the upload is given up at once: waiting makes no room")
  func fullCluster() async throws {
    try await FakeCluster.with { cluster, client in
      for node: UInt64 in 1...3 { cluster.setFault(.refusesPuts(.resourceExhausted), of: node) }
      for key in ["a", "b"] {
        let error = await #expect(throws: StoreError.self) {
          try await client.upload(content(1_000), to: try name(key))
        }
        #expect(error?.code == .resourceExhausted && error?.message.contains("full") == true)
      }
      #expect(cluster.state.withLock { $0.begins.count } <= 6)
    }
  }

  @Test("a node that is gone is avoided, and once it failed new files don't try it")
  func goneNode() async throws {
    try await FakeCluster.with { cluster, client in
      cluster.setReachable("node-1:1", false)
      for key in ["a", "b", "c"] {
        let receipt = try await client.upload(content(1_000), to: try name(key))
        #expect(receipt.nodes == [NodeID(2), NodeID(3)] || receipt.copies == 3)
      }
      let bytes = content(300_000)
      _ = try await client.upload(bytes, to: try name("d"))
      #expect(try await client.contents(of: try name("d"), upTo: 300_000) == bytes)
    }
  }

  @Test("too few nodes: the upload is given up with 'unavailable', and the Directory is told")
  func tooFewNodes() async throws {
    try await FakeCluster.with(configure: { $0.directoryPatience = .milliseconds(50) }) {
      cluster, client in
      for node: UInt64 in 1...3 { cluster.setFault(.refusesPuts(.unavailable), of: node) }
      let error = await #expect(throws: StoreError.self) {
        _ = try await client.upload(content(1_000), to: try name("a"))
      }
      #expect(error?.code == .unavailable)
      #expect(await cluster.aborts.first { _ in true } == 1)
    }
  }

  @Test("replicas that are damaged, missing, gone or silent are passed over")
  func failover() async throws {
    for fault in [FakeCluster.Fault.damagesReads, .hasLostChunks, .hangs, nil] {
      try await FakeCluster.with(configure: { $0.getTimeout = .milliseconds(100) }) {
        cluster, client in
        let bytes = content(450_000)
        _ = try await client.upload(bytes, to: try name("a"))
        for node: UInt64 in [1, 2] {
          if let fault {
            cluster.setFault(fault, of: node)
          } else {
            cluster.setReachable("node-\(node):1", false)
          }
        }
        #expect(try await client.contents(of: try name("a"), upTo: 450_000) == bytes)
      }
    }
  }

  @Test("when every replica is damaged the data is lost, and no byte of it is handed on")
  func allDamaged() async throws {
    try await FakeCluster.with { cluster, client in
      _ = try await client.upload(content(1_000), to: try name("a"))
      for node: UInt64 in 1...3 { cluster.setFault(.damagesReads, of: node) }
      let error = await #expect(throws: StoreError.self) {
        try await client.download(try name("a")) { _ in Issue.record("bytes were handed on") }
      }
      #expect(error?.code == .dataLoss)
    }
  }

  @Test("a commit whose answer was lost is repeated, and counts once")
  func lostAnswer() async throws {
    try await FakeCluster.with { cluster, client in
      cluster.state.withLock { $0.lostCommitAnswers = 2 }
      let receipt = try await client.upload(
        content(10), to: try name("a"), condition: .absent)
      #expect(receipt.entry.version == 1)
      #expect(cluster.state.withLock { $0.nextVersion } == 2)
    }
  }

  @Test("a Directory that is away for a while is waited for")
  func directoryAway() async throws {
    try await FakeCluster.with { cluster, client in
      _ = try await client.upload(content(10), to: try name("a"))
      cluster.state.withLock { $0.refusals = 20 }
      #expect(try await client.stat(try name("a")).entry.size == 10)
    }
  }

  @Test("a Directory that wants no other attempt gets none")
  func pushback() async throws {
    try await FakeCluster.with { cluster, client in
      _ = try await client.upload(content(10), to: try name("a"))
      cluster.state.withLock { state in
        state.refusals = 20
        state.pushback = -1
      }
      let error = await #expect(throws: StoreError.self) {
        _ = try await client.stat(try name("a"))
      }
      #expect(error?.code == .unavailable)
      #expect(cluster.state.withLock { $0.refusals } == 19)
    }
  }

  @Test("a Directory that never answers is given up soon")
  func noDirectory() async throws {
    try await FakeCluster.with { cluster, client in
      cluster.setReachable("directory:1", false)
      let error = await #expect(throws: StoreError.self) {
        _ = try await client.status()
      }
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains("directory:1") == true)
    }
  }

  @Test("small files share leases: a file costs one call to a node and one to the Directory")
  func leases() async throws {
    try await FakeCluster.with { cluster, client in
      for number in 0..<100 {
        _ = try await client.upload(content(10), to: try name("small/\(number)"))
      }
      #expect(cluster.state.withLock { $0.begins.map(\.count) } == [1, 2, 4, 8, 16, 32, 64])
      var keys: [String] = []
      for try await item in client.list(prefix: "small/", pageSize: 7) {
        if case .entry(let entry) = item { keys.append(entry.name.key) }
      }
      #expect(keys == (0..<100).map { "small/\($0)" }.sorted())
    }
  }

  @Test("a condition that does not hold is told, and the chunks are given up")
  func condition() async throws {
    try await FakeCluster.with { cluster, client in
      _ = try await client.upload(content(10), to: try name("a"))
      let error = await #expect(throws: StoreError.self) {
        _ = try await client.upload(content(10), to: try name("a"), condition: .absent)
      }
      #expect(error?.code == .alreadyExists)
      #expect(await cluster.aborts.first { _ in true } == 2)
    }
  }

  @Test("a lease that can't be right is refused, and costs neither the process nor its memory")
  func falseLease() async throws {
    let changes: [@Sendable (inout BeginUploadResponse) -> Void] = [
      { $0.firstUpload = .max }, { $0.count = 0 }, { $0.chunkSize = 1 },
      { $0.chunkSize = 65_535 }, { $0.chunkSize = 65 << 20 }, { $0.groups = [] },
    ]
    for change in changes {
      try await FakeCluster.with { cluster, client in
        cluster.state.withLock { $0.changeLease = change }
        let error = await #expect(throws: StoreError.self) {
          _ = try await client.upload(content(10), to: try name("a"))
        }
        #expect(error?.code == .internal)
      }
    }
  }

  @Test("a receipt for something else than what was stored is none")
  func falseReceipt() async throws {
    let changes: [@Sendable (inout CommitUploadResponse) -> Void] = [
      { $0.entry?.name?.key = "b" }, { $0.entry?.size = 3 }, { $0.entry?.checksum ^= 1 },
    ]
    for change in changes {
      try await FakeCluster.with { cluster, client in
        cluster.state.withLock { $0.changeReceipt = change }
        let error = await #expect(throws: StoreError.self) {
          _ = try await client.upload(content(10), to: try name("a"))
        }
        #expect(error?.code == .internal)
      }
    }
  }

  @Test("a source that fails fails the upload with its own error")
  func failingSource() async throws {
    struct Broken: Error {}
    try await FakeCluster.with { cluster, client in
      let source = AsyncThrowingStream<ByteBuffer, any Error> { continuation in
        continuation.yield(content(250_000))
        continuation.finish(throwing: Broken())
      }
      await #expect(throws: Broken.self) {
        _ = try await client.upload(source, to: try name("a"))
      }
      #expect(cluster.state.withLock { $0.files.isEmpty })
    }
  }

  @Test("refusals keep their meaning")
  func refusals() async throws {
    try await FakeCluster.with { cluster, client in
      let (a, b) = (try name("a"), try name("b"))
      await #expect(throws: RPCError.self) { _ = try await client.rename(a, to: b) }
      let error = await #expect(throws: StoreError.self) { _ = try await client.copy(a, to: b) }
      #expect(error?.code == .preconditionFailed)
      let missing = await #expect(throws: StoreError.self) { _ = try await client.delete(a) }
      #expect(missing?.code == .notFound)
      #expect(try await client.nodes().map(\.state) == [.up, .up, .up])
    }
  }

  @Test("a slow sink holds back the fetching")
  func backPressure() async throws {
    try await FakeCluster.with(configure: { $0.chunksReadAhead = 2 }) { cluster, client in
      _ = try await client.upload(content(2_000_000), to: try name("a"))
      let most = Mutex((handedOn: 0, ahead: 0))
      try await client.download(try name("a")) { piece in
        let reads = cluster.state.withLock { $0.nodes.values.map(\.reads).reduce(0, +) }
        most.withLock {
          $0.ahead = max($0.ahead, reads - $0.handedOn / 100_000)
          $0.handedOn += piece.readableBytes
        }
      }
      #expect(most.withLock { $0.handedOn } == 2_000_000)
      #expect(most.withLock { $0.ahead } <= 3)
    }
  }
}
