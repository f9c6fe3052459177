/// A client's connections, each made when the first call needs it and made again after it was lost.
///
/// `run()` lives as long as the connections: they are its children. Calls wait for it to be running.
public final class ChannelPool: Sendable {
  /// Connects through `transport`.
  public init(
    transport: any Transport, time: any TimeSource, random: any RandomSource,
    configuration: ConnectionConfiguration = ConnectionConfiguration()
  ) {
    preconditionFailure("to come")
  }

  /// Makes and serves connections until `shutdown` or until the task is cancelled; calls that are under
  /// way fail with `unavailable` then, and so do later ones.
  public func run() async {
    preconditionFailure("to come")
  }

  /// The channel to `address`, the same for the same address and lane. Calls in one lane share one
  /// connection; another lane has another.
  public func channel(to address: Address, lane: Int = 0) -> any CallChannel {
    preconditionFailure("to come")
  }

  /// Ends `run()` and every call. Returns at once.
  public func shutdown() {
    preconditionFailure("to come")
  }
}

/// Runs `body` with a channel to one address, and closes its connection afterwards.
///
/// - Throws: what `body` throws.
public func withChannel<Result: Sendable>(
  to address: Address, transport: any Transport, time: any TimeSource, random: any RandomSource,
  configuration: ConnectionConfiguration = ConnectionConfiguration(),
  _ body: @Sendable (any CallChannel) async throws -> Result
) async throws -> Result {
  let pool = ChannelPool(
    transport: transport, time: time, random: random, configuration: configuration)
  return try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { await pool.run() }
    defer { pool.shutdown() }
    return try await body(pool.channel(to: address))
  }
}
