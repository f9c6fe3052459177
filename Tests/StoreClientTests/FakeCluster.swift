import Checksum
import Logging
import NIOCore
import RPC
import Schema
import StoreModel
import StoreProtocol
import Synchronization

@testable import StoreClient

/// A Directory and nodes that keep everything in memory and fail as a test tells them to.
final class FakeCluster: Sendable {
  /// How a node misbehaves.
  enum Fault: Sendable, Equatable {
    /// Chunks are refused with this status.
    case refusesPuts(StatusCode)
    /// A byte of what it sends is changed.
    case damagesReads
    /// It has lost its chunks.
    case hasLostChunks
    /// It takes calls and never answers.
    case hangs
  }

  /// What a node holds.
  struct NodeState: Sendable {
    var chunks: [WireChunkId: [UInt8]] = [:]
    var fault: Fault?
    var reads = 0
  }

  /// All there is.
  struct State: Sendable {
    var nodes: [UInt64: NodeState] = [:]
    var files: [WireName: OpenFileResponse] = [:]
    var receipts: [UInt64: CommitUploadResponse] = [:]
    var nextUpload: UInt64 = 1
    var nextVersion: UInt64 = 1
    var begins: [BeginUploadRequest] = []
    /// Calls that are refused before they have an effect.
    var refusals = 0
    /// How long they ask to be left alone, in seconds; nil: they don't say.
    var pushback: Int64?
    /// Commits whose answer is lost after they had their effect.
    var lostCommitAnswers = 0
    /// Bytes of a chunk.
    var chunkBytes: UInt32 = 100_000
    /// What becomes of a lease before it is answered.
    var changeLease: (@Sendable (inout BeginUploadResponse) -> Void)?
    /// What becomes of a receipt before it is answered.
    var changeReceipt: (@Sendable (inout CommitUploadResponse) -> Void)?
  }

  /// What tests look at and change.
  let state: Mutex<State>
  /// The uploads that were given up.
  let aborts: AsyncStream<UInt64>
  /// Where the Directory notes them.
  let aborting: AsyncStream<UInt64>.Continuation
  private let network = MemoryNetwork()

  /// Nodes 1 to `nodes`, all well.
  init(nodes: Int) {
    var state = State()
    for node in 1...nodes { state.nodes[UInt64(node)] = NodeState() }
    self.state = Mutex(state)
    (aborts, aborting) = AsyncStream.makeStream(of: UInt64.self)
  }

  /// Runs `body` with a client of a cluster.
  static func with(
    nodes: Int = 3, configure: (inout ClientConfiguration) -> Void = { _ in },
    _ body: @Sendable (FakeCluster, StoreClient) async throws -> Void
  ) async throws {
    let cluster = FakeCluster(nodes: nodes)
    var configuration = ClientConfiguration()
    configuration.pieceBytes = 30_000
    configuration.retryDelay = .milliseconds(1)
    configuration.maxRetryDelay = .milliseconds(5)
    configuration.firstContactPatience = .milliseconds(200)
    configure(&configuration)
    let settings = configuration
    try await withThrowingTaskGroup(of: Void.self) { group in
      let servers = cluster.servers(nodes: nodes)
      for server in servers { group.addTask { try await server.run() } }
      for server in servers { _ = try await server.listeningAddress }
      try await withStoreClient(
        directory: Address("directory:1"), transport: cluster.transport("client"),
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, configuration: settings
      ) { client in
        try await body(cluster, client)
      }
      group.cancelAll()
    }
  }

  /// Sets or clears a node's fault.
  func setFault(_ fault: Fault?, of node: UInt64) {
    state.withLock { $0.nodes[node]?.fault = fault }
  }

  /// Makes a server unreachable, or reachable again.
  func setReachable(_ address: String, _ isReachable: Bool) {
    network.setReachable(Address(address), isReachable)
  }

  /// The chunks that a node holds.
  func chunkCount(of node: UInt64) -> Int {
    state.withLock { $0.nodes[node]?.chunks.count ?? 0 }
  }

  private func transport(_ host: String) -> MemoryTransport {
    MemoryTransport(host: host, network: network)
  }

  private func servers(nodes: Int) -> [RPCServer] {
    let time = SystemTimeSource()
    let directory = RPCServer(
      router: Router([FakeDirectory(cluster: self)]), transport: transport("directory"),
      address: Address("directory:1"), time: time)
    return [directory]
      + (1...nodes).map { node in
        RPCServer(
          router: Router([FakeNode(cluster: self, node: UInt64(node))]),
          transport: transport("node-\(node)"), address: Address("node-\(node):1"), time: time)
      }
  }
}

/// A node that keeps chunks in memory and hands them to the others of a group directly.
struct FakeNode: NodeService {
  let cluster: FakeCluster
  let node: UInt64

  private func fault() -> FakeCluster.Fault? {
    cluster.state.withLock { $0.nodes[node]?.fault }
  }

  private func hangIfTold() async throws {
    guard fault() == .hangs else { return }
    try await SystemTimeSource().sleep(until: Instant(nanoseconds: .max / 2))
  }

  func putChunk(
    _ requests: MessageReader<PutChunkRequest>, context: CallContext
  ) async throws -> PutChunkResponse {
    try await hangIfTold()
    var first = PutChunkRequest()
    var bytes: [UInt8] = []
    var checksum: UInt32 = 0
    while let request = try await requests.next() {
      if request.header != nil { first = request }
      for piece in request.data.pieces { bytes += Array(piece.readableBytesView) }
      checksum = request.checksum
    }
    let id = first.header?.id ?? WireChunkId()
    guard bytes.count == Int(first.header?.length ?? 0),
      checksum == CRC32C.checksum(of: bytes)
    else { throw RPCError(.invalidArgument, "the chunk is not what its header says") }
    let content = bytes
    let replicas = [node] + first.forward.map(\.node)
    return cluster.state.withLock { state in
      PutChunkResponse(
        replicas: replicas.map { replica in
          if case .refusesPuts(let code) = state.nodes[replica]?.fault {
            return ReplicaResult(node: replica, code: UInt32(code.rawValue), message: "refused")
          }
          state.nodes[replica]?.chunks[id] = content
          return ReplicaResult(node: replica)
        })
    }
  }

  func getChunk(
    _ request: GetChunkRequest, responses: MessageWriter<GetChunkResponse>, context: CallContext
  ) async throws {
    try await hangIfTold()
    let (bytes, fault) = cluster.state.withLock { state in
      state.nodes[node]?.reads += 1
      return (
        request.id.flatMap { state.nodes[node]?.chunks[$0] }, state.nodes[node]?.fault
      )
    }
    guard let bytes, fault != .hasLostChunks else { throw RPCError(.notFound, "no such chunk") }
    let end = request.length == 0 ? bytes.count : Int(request.offset + request.length)
    let block = BlockChecksums.blockBytes
    var start = Int(request.offset) / block * block
    while start < end {
      let stop = min(bytes.count, start + block)
      var data = Array(bytes[start..<stop])
      let checksum = CRC32C.checksum(of: data)
      if fault == .damagesReads { data[data.count / 2] ^= 0x40 }
      try await responses.write(
        GetChunkResponse(
          offset: UInt32(start), blockChecksums: [checksum],
          data: Body(ByteBuffer(bytes: data))))
      start = stop
    }
  }

  func statChunk(
    _ request: StatChunkRequest, context: CallContext
  ) async throws -> StatChunkResponse {
    throw RPCError(.unimplemented, "not here")
  }

  func deleteChunk(
    _ request: DeleteChunkRequest, context: CallContext
  ) async throws -> DeleteChunkResponse {
    throw RPCError(.unimplemented, "not here")
  }

  func listChunks(
    _ request: ListChunksRequest, responses: MessageWriter<ListChunksResponse>,
    context: CallContext
  ) async throws {
    throw RPCError(.unimplemented, "not here")
  }

  func getNodeStatus(
    _ request: GetNodeStatusRequest, context: CallContext
  ) async throws -> GetNodeStatusResponse {
    throw RPCError(.unimplemented, "not here")
  }

  func echo(
    _ requests: MessageReader<EchoRequest>, responses: MessageWriter<EchoResponse>,
    context: CallContext
  ) async throws {
    throw RPCError(.unimplemented, "not here")
  }
}
