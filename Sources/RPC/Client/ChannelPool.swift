internal import Synchronization

/// A client's connections, each made when the first call needs it and made again after it was lost.
///
/// `run()` lives as long as the connections: they are its children. Calls wait for it to be running.
public final class ChannelPool: Sendable {
  private struct Key: Hashable {
    var address: Address
    var lane: Int
  }

  private struct State {
    var channels: [Key: Channel] = [:]
    /// The same, in the order in which they were made.
    var inOrder: [Channel] = []
    /// Channels that need a connection.
    var requests: [Channel] = []
    var runner: UnsafeContinuation<Void, Never>?
    var isStopped = false
  }

  let transport: any Transport
  let time: any TimeSource
  let random: any RandomSource
  let configuration: ConnectionConfiguration
  /// For calls that wait for a connection.
  let timekeeper: Timekeeper
  private let state = Mutex(State())

  /// Connects through `transport`.
  public init(
    transport: any Transport, time: any TimeSource, random: any RandomSource,
    configuration: ConnectionConfiguration = ConnectionConfiguration()
  ) {
    self.transport = transport
    self.time = time
    self.random = random
    self.configuration = configuration
    timekeeper = Timekeeper(time: time)
  }

  /// Makes and serves connections until `shutdown` or until the task is cancelled; calls that are under
  /// way fail with `unavailable` then, and so do later ones.
  public func run() async {
    await withTaskCancellationHandler {
      await withDiscardingTaskGroup { group in
        group.addTask { await self.keepTime() }
        while let channels = await nextRequests() {
          for channel in channels {
            group.addTask { await channel.serve() }
          }
        }
        group.cancelAll()
      }
    } onCancel: {
      shutdown()
    }
  }

  /// The channel to `address`, the same for the same address and lane. Calls in one lane share one
  /// connection; another lane has another.
  public func channel(to address: Address, lane: Int = 0) -> any CallChannel {
    state.withLock { state in
      let key = Key(address: address, lane: lane)
      if let channel = state.channels[key] { return channel }
      let channel = Channel(address: address, pool: self)
      if state.isStopped {
        channel.stop()
      } else {
        state.channels[key] = channel
        state.inOrder.append(channel)
      }
      return channel
    }
  }

  /// Ends `run()` and every call. Returns at once.
  public func shutdown() {
    let (channels, runner) = state.withLock { state in
      state.isStopped = true
      defer {
        state.channels = [:]
        state.inOrder = []
        state.requests = []
        state.runner = nil
      }
      return (state.inOrder, state.runner)
    }
    for channel in channels { channel.stop() }
    timekeeper.stop()
    runner?.resume()
  }

  /// A channel needs a connection.
  func connect(_ channel: Channel) {
    let runner = state.withLock { state -> UnsafeContinuation<Void, Never>? in
      guard !state.isStopped else { return nil }
      state.requests.append(channel)
      defer { state.runner = nil }
      return state.runner
    }
    runner?.resume()
  }

  private func nextRequests() async -> [Channel]? {
    while true {
      let (channels, isStopped) = state.withLock { state in
        defer { state.requests = [] }
        return (state.requests, state.isStopped)
      }
      if isStopped { return nil }
      if !channels.isEmpty { return channels }
      await withUnsafeContinuation { continuation in
        let isBusy = state.withLock { state in
          if state.isStopped || !state.requests.isEmpty { return true }
          state.runner = continuation
          return false
        }
        if isBusy { continuation.resume() }
      }
    }
  }

  private func keepTime() async {
    await timekeeper.run { now in
      let channels = state.withLock { $0.inOrder }
      return channels.compactMap { $0.expire(now) }.min()
    }
  }

  /// Connects within the configured time.
  func connect(to address: Address) async throws -> any ByteConnection {
    try await withThrowingTaskGroup(of: (any ByteConnection)?.self) { group in
      let ends = time.now.advanced(by: configuration.connectTimeout)
      group.addTask { try await self.transport.connect(to: address) }
      group.addTask {
        try await self.time.sleep(until: ends)
        return nil
      }
      let first = await group.nextResult()
      group.cancelAll()
      while let other = await group.nextResult() {
        if case .success(let late?) = other { late.close() }
      }
      switch first {
      case .success(let connection?): return connection
      case .failure(let error): throw error
      default:
        throw RPCError(.unavailable, "no answer within \(configuration.connectTimeout)")
      }
    }
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
