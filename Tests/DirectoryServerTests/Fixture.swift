import DirectoryServer
import Logging
import MetadataStore
import RPC
import StoreModel
import StoreProtocol
import Synchronization
import Testing

/// A clock that a test sets.
final class ManualTime: TimeSource {
  private struct Sleeper {
    var deadline: Instant
    var continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var now = Instant(nanoseconds: 1_000_000_000_000)
    var sleepers: [Int: Sleeper] = [:]
    var next = 0
    var cancelled: Set<Int> = []
  }

  private let state = Mutex(State())

  var now: Instant { state.withLock(\.now) }

  var wallClockMicroseconds: Int64 { 1_800_000_000_000_000 + Int64(now.nanoseconds / 1_000) }

  func sleep(until deadline: Instant) async throws {
    let id = state.withLock { state in
      state.next += 1
      return state.next
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let result: Result<Void, any Error>? = state.withLock { state in
          if state.cancelled.contains(id) { return .failure(CancellationError()) }
          if state.now >= deadline { return .success(()) }
          state.sleepers[id] = Sleeper(deadline: deadline, continuation: continuation)
          return nil
        }
        if let result { continuation.resume(with: result) }
      }
    } onCancel: {
      let sleeper = state.withLock { state in
        state.cancelled.insert(id)
        return state.sleepers.removeValue(forKey: id)
      }
      sleeper?.continuation.resume(throwing: CancellationError())
    }
  }

  /// Lets seconds go by, one after the other.
  func advance(seconds: Int) {
    for _ in 0..<seconds {
      let due = state.withLock { state in
        state.now.nanoseconds += 1_000_000_000
        let now = state.now
        let due = state.sleepers.filter { $0.value.deadline <= now }
        for id in due.keys { state.sleepers[id] = nil }
        return due.sorted { $0.key < $1.key }.map(\.value.continuation)
      }
      for continuation in due { continuation.resume() }
    }
  }
}

/// Randomness that is the same in every run.
final class SeededSource: RandomSource {
  private let state = Mutex<UInt64>(1)

  func next() -> UInt64 {
    state.withLock { state in
      state &+= 0x9E37_79B9_7F4A_7C15
      var bits = state
      bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
      bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
      return bits ^ (bits >> 31)
    }
  }
}

/// A Directory that serves a client in this process.
struct Fixture: Sendable {
  let client: DirectoryClient
  let server: DirectoryServer
  let time: ManualTime
  let store: SQLiteMetadataStore
  /// The server that its calls come through.
  let rpc: RPCServer

  /// Runs `body` with a Directory over `store`, by default a fresh one in memory.
  static func run(
    store given: SQLiteMetadataStore? = nil, log: any LogHandler = Silent(),
    _ body: @escaping @Sendable (Fixture) async throws -> Void
  ) async throws {
    let store = try given ?? memory()
    let time = ManualTime()
    let random = SeededSource()
    let monitor = ServerMonitor()
    let server = try await DirectoryServer(
      store: store, time: time, random: random, logger: Logger(label: "test") { _ in log },
      monitor: monitor)
    let transport = MemoryTransport()
    let rpc = RPCServer(
      router: Router([server]), transport: transport, address: Address("directory:0"),
      time: SystemTimeSource(), monitor: monitor)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await rpc.run() }
      group.addTask { try await server.run() }
      let address = try await rpc.listeningAddress
      try await withChannel(
        to: address, transport: transport, time: SystemTimeSource(), random: random
      ) { channel in
        try await body(
          Fixture(
            client: DirectoryClient(channel), server: server, time: time, store: store, rpc: rpc))
      }
      group.cancelAll()
    }
  }

  static func memory() throws -> SQLiteMetadataStore {
    try SQLiteMetadataStore(
      .memory, executors: [DatabaseExecutor(label: "test")], clusterBits: (1, 2))
  }

  static let statistics = WireNodeStatistics(
    capacityBytes: 100 << 30, freeBytes: 50 << 30, usedBytes: 1, chunks: 2)

  /// Registers nodes 1 to `count`, at `node-N:1`.
  func register(_ count: UInt64) async throws {
    for node in 1...count {
      _ = try await client.registerNode(
        RegisterNodeRequest(
          node: node, address: "node-\(node):1", zone: "", statistics: Fixture.statistics))
    }
  }

  /// Uploads a file of one chunk of 100 bytes, or an empty one.
  @discardableResult
  func put(_ key: String, isEmpty: Bool = false) async throws -> CommitUploadResponse {
    let lease = try await client.beginUpload(BeginUploadRequest())
    let group = try #require(lease.groups.first)
    let chunk = WireManifestChunk(
      id: WireChunkId(group: group.id, upload: lease.firstUpload, index: 0), length: 100,
      checksum: 7)
    return try await client.commitUpload(
      CommitUploadRequest(
        upload: lease.firstUpload, name: WireName(bucket: "b", key: key),
        manifest: isEmpty
          ? WireManifest() : WireManifest(size: 100, checksum: 7, chunks: [chunk])))
  }

  func name(_ key: String) -> WireName { WireName(bucket: "b", key: key) }

  /// Asks until the states of all nodes are those.
  func wait(for states: [WireNodeState]) async throws {
    var seen: [WireNodeState] = []
    for _ in 0..<100_000 {
      seen = try await client.listNodes(ListNodesRequest()).nodes.map(\.state)
      if seen == states { return }
      await Task.yield()
    }
    Issue.record("the nodes' states are \(seen), not \(states)")
  }
}

/// Logs nothing.
struct Silent: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .critical

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {}
}

/// Keeps the warnings that are logged, with the values beside them.
final class Warnings: Sendable {
  private let kept = Mutex<[String]>([])

  /// What was logged so far.
  var texts: [String] { kept.withLock { $0 } }

  /// Logs to this.
  var handler: any LogHandler { Handler(warnings: self) }

  private struct Handler: LogHandler {
    let warnings: Warnings
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .warning

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let values = event.metadata?.map { "\($0.key)=\($0.value)" }.sorted() ?? []
      let text = "\(event.message) \(values.joined(separator: " "))"
      warnings.kept.withLock { $0.append(text) }
    }
  }
}

/// Runs `body` and returns the status of the error it throws.
func status<Value>(_ body: () async throws -> Value) async -> StatusCode? {
  do {
    _ = try await body()
    return nil
  } catch {
    return (error as? RPCError)?.code ?? .unknown
  }
}
