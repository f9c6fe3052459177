public import Logging
public import RPC
import StoreModel
import StoreProtocol
import Synchronization

/// Stores files in Holdfast and reads them back: the library that every program, ours too, goes through.
///
/// Its calls may be made from any task while `run()` runs; `withStoreClient` sees to that. An upload
/// returns when every copy is on disk and the name is published; a download hands on verified bytes
/// only. What can't be done is thrown as a `StoreError` whose code says whether to try again, or as an
/// `RPCError` where a server refuses the caller.
public final class StoreClient: Sendable {
  /// How it goes about its work.
  public let configuration: ClientConfiguration

  let directoryAddress: Address
  let pool: ChannelPool
  let directory: DirectoryClient
  let time: any TimeSource
  let random: any RandomSource
  let logger: Logger
  let leases: LeaseKeeper
  private let health: Mutex<NodeHealth>
  private let contacted = Mutex(false)
  private let abandonedUploads: AsyncStream<UploadID>
  private let abandoning: AsyncStream<UploadID>.Continuation

  /// Makes a client of the Directory at `directory`, reached through `transport`. Nothing is connected
  /// before the first call.
  public init(
    directory: Address, transport: any Transport, time: any TimeSource = SystemTimeSource(),
    random: any RandomSource = SystemRandomSource(), logger: Logger,
    configuration: ClientConfiguration = ClientConfiguration()
  ) {
    self.configuration = configuration
    self.directoryAddress = directory
    self.time = time
    self.random = random
    self.logger = logger
    pool = ChannelPool(transport: transport, time: time, random: random)
    self.directory = DirectoryClient(pool.channel(to: directory))
    leases = LeaseKeeper(maxRefill: configuration.maxLeasedUploads)
    health = Mutex(NodeHealth(penalty: configuration.nodePenalty))
    (abandonedUploads, abandoning) = AsyncStream.makeStream(
      of: UploadID.self, bufferingPolicy: .bufferingNewest(Self.maxAbandonedUploads))
  }

  /// Serves the client's connections until `shutdown`, or until the task is cancelled.
  public func run() async {
    await withDiscardingTaskGroup { group in
      group.addTask { await self.pool.run() }
      group.addTask {
        for await upload in self.abandonedUploads { await self.abort(upload) }
        self.pool.shutdown()
      }
    }
  }

  /// Ends `run()` after uploads that failed were given up at the Directory. Calls made later fail.
  public func shutdown() {
    abandoning.finish()
  }

  /// How many failed uploads wait to be given up at the Directory; more of them are left to their
  /// lease's end.
  private static let maxAbandonedUploads = 1_024
  /// How long the Directory is given to take note of an upload that was given up.
  private static let abortTimeout = Duration.seconds(2)

  /// The upload will never be committed: the Directory is told soon, so that its chunks are garbage at
  /// once. When that fails, they are after the lease's end.
  func abandon(_ upload: UploadID) {
    abandoning.yield(upload)
  }

  private func abort(_ upload: UploadID) async {
    do {
      _ = try await directory.abortUpload(
        AbortUploadRequest(upload: upload), options: CallOptions(timeout: Self.abortTimeout))
    } catch {
      logger.debug("an upload was not given up", metadata: ["upload": "\(upload)"])
    }
  }

  // MARK: - What it learned of others

  /// Whether the Directory has ever answered this client.
  var hasContactedDirectory: Bool {
    contacted.withLock { $0 }
  }

  /// The Directory answered.
  func noteDirectoryAnswered() {
    contacted.withLock { $0 = true }
  }

  /// A node failed a call.
  func noteFailure(of node: NodeID) {
    let now = time.now
    health.withLock { $0.failed(node, now: now) }
  }

  /// A node served a call.
  func noteSuccess(of node: NodeID) {
    health.withLock { $0.succeeded(node) }
  }

  /// The nodes that failed lately, in ascending order.
  func shunnedNodes() -> [NodeID] {
    let now = time.now
    return health.withLock { $0.shunned(now: now) }
  }
}

/// Makes a client, runs it while `body` runs, and closes its connections afterwards.
///
/// - Throws: what `body` throws.
public func withStoreClient<Result: Sendable>(
  directory: Address, transport: any Transport, time: any TimeSource = SystemTimeSource(),
  random: any RandomSource = SystemRandomSource(), logger: Logger,
  configuration: ClientConfiguration = ClientConfiguration(),
  _ body: @Sendable (StoreClient) async throws -> Result
) async throws -> Result {
  let client = StoreClient(
    directory: directory, transport: transport, time: time, random: random, logger: logger,
    configuration: configuration)
  // The result is kept while `run()` ends: throwing through the group would cancel it before failed
  // uploads were given up.
  let outcome = await withTaskGroup(of: Void.self) { group in
    group.addTask { await client.run() }
    let outcome: Swift.Result<Result, any Error>
    do {
      outcome = .success(try await body(client))
    } catch {
      outcome = .failure(error)
    }
    client.shutdown()
    await group.waitForAll()
    return outcome
  }
  return try outcome.get()
}
