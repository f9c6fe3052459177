import Checksum
import ChunkStore
import Logging
import NIOCore
import RPC
import Schema
import StoreModel
import StoreProtocol
import Synchronization

@testable import NodeServer

/// A Directory that knows registration and reports, and nothing else.
final class TestDirectory: Service {
  struct State {
    var cluster = "test-cluster"
    var registered: [RegisterNodeRequest] = []
    var reports: [HeartbeatRequest] = []
    var groups: [WirePlacementGroup] = []
    /// Whether each stream of reports ends with the next report.
    var endsStreams = false
  }

  static let description = ServiceDescription(
    name: DirectoryMethods.service.name, methods: DirectoryMethods.service.methods,
    fileDescriptor: [])

  let state = Mutex(State())
  let changed = Event()

  func register(in router: inout Router) {
    router.unary(DirectoryMethods.registerNode) { request, _ in
      let cluster = self.state.withLock { state in
        state.registered.append(request)
        return state.cluster
      }
      self.changed.signal()
      guard request.cluster.isEmpty || request.cluster == cluster else {
        throw RPCError(.failedPrecondition, "node belongs to cluster \(request.cluster)")
      }
      return RegisterNodeResponse(cluster: cluster, heartbeatIntervalUs: 50_000)
    }
    router.unary(DirectoryMethods.getGroup) { request, _ in
      guard let group = self.state.withLock({ $0.groups.first { $0.id == request.id } }) else {
        throw RPCError(.notFound, "there is no placement group \(request.id)")
      }
      return GetGroupResponse(group: group)
    }
    router.bidirectional(DirectoryMethods.heartbeat) { requests, responses, _ in
      for try await request in requests {
        let (groups, isLast) = self.state.withLock { state in
          state.reports.append(request)
          return (state.groups, state.endsStreams)
        }
        self.changed.signal()
        if request.leaving || isLast { return }
        try await responses.write(HeartbeatResponse(groups: groups))
      }
    }
  }
}

/// Wakes those who wait for a state that others change.
final class Event: Sendable {
  private struct State {
    var count = 0
    var waiting: [(seen: Int, continuation: CheckedContinuation<Void, Never>)] = []
  }

  private let state = Mutex(State())

  /// Something changed.
  func signal() {
    let waiting = state.withLock { state in
      state.count += 1
      defer { state.waiting = [] }
      return state.waiting
    }
    for waiter in waiting { waiter.continuation.resume() }
  }

  /// Waits until `isSo`, which is asked again after each change.
  func wait(until isSo: () -> Bool) async {
    while true {
      let seen = state.withLock { $0.count }
      if isSo() { return }
      await withCheckedContinuation { continuation in
        let isOld = state.withLock { state in
          if state.count != seen { return true }
          state.waiting.append((seen, continuation))
          return false
        }
        if isOld { continuation.resume() }
      }
    }
  }
}

/// A Directory, nodes and a client's pool, over a memory network.
struct TestCluster: Sendable {
  let network = MemoryNetwork()
  let directory = TestDirectory()
  let disks: [MemoryDisk]
  let stores: [SegmentStore]
  let nodes: [NodeServer]
  let pool: ChannelPool
  let time = SystemTimeSource()

  static func address(_ node: Int) -> Address { Address("node-\(node)") }

  /// Runs a cluster of so many nodes for `body`.
  static func run(
    nodes count: Int, logger: Logger = silent,
    configure: (inout NodeConfiguration) -> Void = { _ in },
    _ body: @escaping @Sendable (TestCluster) async throws -> Void
  ) async throws {
    let cluster = try await TestCluster(nodes: count, logger: logger, configure: configure)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await cluster.pool.run() }
      let server = RPCServer(
        router: Router([cluster.directory]),
        transport: MemoryTransport(host: "directory", network: cluster.network),
        address: Address("directory"), time: cluster.time)
      group.addTask { try await server.run() }
      _ = try await server.listeningAddress
      for node in cluster.nodes {
        group.addTask { try await node.run() }
      }
      for node in cluster.nodes { _ = try await node.listeningAddress }
      await cluster.directory.changed.wait {
        cluster.directory.state.withLock { Set($0.reports.map(\.node)).count == count }
      }
      try await body(cluster)
      group.cancelAll()
      while let result = await group.nextResult() { _ = result }
    }
  }

  /// Logs nothing.
  static let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

  private init(
    nodes count: Int, logger: Logger, configure: (inout NodeConfiguration) -> Void
  ) async throws {
    var disks: [MemoryDisk] = []
    var stores: [SegmentStore] = []
    var nodes: [NodeServer] = []
    for place in 0..<count {
      let disk = MemoryDisk()
      let random = SystemRandomSource()
      var storage = SegmentStore.Configuration()
      storage.segmentBytes = 4 << 20
      storage.stagingBytes = 4 << 20
      let store = try await SegmentStore.open(
        on: disk, clock: StoreClock(time), configuration: storage,
        drawNode: { NodeID(UInt64(place + 1)) },
        random: { random.next() })
      var configuration = NodeConfiguration(
        listen: Self.address(place), directory: Address("directory"), zone: "z\(place)")
      configure(&configuration)
      nodes.append(
        NodeServer(
          store: store, transport: MemoryTransport(host: "node-\(place)", network: network),
          configuration: configuration, time: time, random: SystemRandomSource(),
          logger: logger))
      disks.append(disk)
      stores.append(store)
    }
    self.disks = disks
    self.stores = stores
    self.nodes = nodes
    pool = ChannelPool(
      transport: MemoryTransport(host: "client", network: network), time: time,
      random: SystemRandomSource())
  }

  /// A client of a node.
  func client(_ node: Int) -> NodeClient {
    NodeClient(pool.channel(to: Self.address(node)))
  }

  /// Nodes as the other members of a group.
  func members(_ nodes: Int...) -> [WireGroupMember] {
    nodes.map { WireGroupMember(node: UInt64($0 + 1), address: Self.address($0).description) }
  }

  /// Stores a chunk through a node, the first unless said otherwise.
  func put(
    _ bytes: [UInt8], upload: UInt64, epoch: UInt64 = 1, forward: [WireGroupMember] = [],
    pieceBytes: Int = 100_000, checksum: UInt32? = nil, to node: Int = 0
  ) async throws -> PutChunkResponse {
    let header = ChunkHeader(
      id: WireChunkId(group: 7, upload: upload, index: 0), epoch: epoch,
      length: UInt32(bytes.count), name: WireName(bucket: "default", key: "file-\(upload)"))
    let whole = checksum ?? CRC32C.checksum(of: bytes)
    return try await client(node).putChunk { writer in
      for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
        let end = min(start + pieceBytes, bytes.count)
        var message = PutChunkRequest(data: Body(ByteBuffer(bytes: bytes[start..<end])))
        if start == 0 {
          message.header = header
          message.forward = forward
        }
        if end == bytes.count { message.checksum = whole }
        try await writer.write(message)
      }
    }
  }

  /// Reads from a chunk of a node, and checks its blocks as a client does.
  func get(
    _ upload: UInt64, from node: Int, offset: UInt32 = 0, length: UInt32 = 0
  ) async throws -> (offset: UInt32, bytes: [UInt8]) {
    let request = GetChunkRequest(
      id: WireChunkId(group: 7, upload: upload, index: 0), offset: offset, length: length)
    return try await client(node).getChunk(request) { reader in
      var first: UInt32?
      var bytes: [UInt8] = []
      for try await message in reader {
        first = first ?? message.offset
        var checksums = BlockChecksums()
        for piece in message.data.pieces {
          checksums.update(piece)
          bytes += piece.readableBytesView
        }
        guard checksums.blocks == message.blockChecksums else {
          throw RPCError(.dataLoss, "a block's checksum does not fit")
        }
      }
      return (first ?? 0, bytes)
    }
  }
}

/// The status with which `body` fails; nil when it doesn't.
func status(_ body: () async throws -> Void) async -> StatusCode? {
  do {
    try await body()
    return nil
  } catch {
    return (error as? RPCError)?.code
  }
}

/// Bytes that depend on the seed.
func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  return (0..<count).map { _ in
    state = state &* 6_364_136_223_846_793_005 &+ 1
    return UInt8(truncatingIfNeeded: state >> 40)
  }
}
