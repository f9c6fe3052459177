internal import Synchronization

/// A client's connections, each made when the first call needs it and made again after it was lost.
///
/// `run()` lives as long as the connections: they are its children. Calls wait for it to be running.
public final class ChannelPool: Sendable {
  /// What tells a channel from others.
  struct Key: Hashable {
    var address: Address
    var lane: Int
  }

  /// A channel that was handed out.
  private struct Entry {
    /// Nil when nobody has it any more.
    weak var channel: Channel?
    /// The same while it was used of late: who takes it anew for each call still finds what it knows, such
    /// as that its address can't be reached.
    var kept: Channel?
  }

  private struct State {
    var entries: [Key: Entry] = [:]
    /// Their keys, in the order in which they were made.
    var inOrder: [Key] = []
    /// When to look which of them aren't used; nil: there are none.
    var check: Instant?
    /// Channels that need a connection.
    var requests: [Channel] = []
    var runner: UnsafeContinuation<Void, Never>?
    var isStopped = false

    /// The channels that somebody has, in the order in which they were made.
    var channels: [Channel] { inOrder.compactMap { entries[$0]?.channel } }

    /// It is used.
    mutating func keep(_ channel: Channel) {
      guard let entry = entries[channel.key], entry.kept == nil else { return }
      entries[channel.key]?.kept = channel
    }
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
    let key = Key(address: address, lane: lane)
    let (channel, check) = state.withLock { state -> (Channel, Instant?) in
      if let channel = state.entries[key]?.channel {
        state.keep(channel)
        return (channel, nil)
      }
      let channel = Channel(key, pool: self)
      if state.isStopped {
        channel.stop()
        return (channel, nil)
      }
      if state.entries[key] == nil { state.inOrder.append(key) }
      state.entries[key] = Entry(channel: channel, kept: channel)
      guard state.check == nil, let timeout = configuration.idleTimeout else {
        return (channel, nil)
      }
      state.check = time.now.advanced(by: timeout)
      return (channel, state.check)
    }
    if let check { timekeeper.arm(check) }
    return channel
  }

  /// Ends `run()` and every call. Returns at once.
  public func shutdown() {
    let (channels, runner) = state.withLock { state in
      state.isStopped = true
      defer {
        state.entries = [:]
        state.inOrder = []
        state.requests = []
        state.runner = nil
      }
      return (state.channels, state.runner)
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
      state.keep(channel)
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
    await timekeeper.run { tend($0) }
  }

  /// Ends what is over its time, and forgets channels that nobody uses; when there is next something to do.
  func tend(_ now: Instant) -> Instant? {
    let next = state.withLock(\.channels).compactMap { $0.expire(now) }.min()
    guard let check = forgetUnused(now) else { return next }
    return next.map { min($0, check) } ?? check
  }

  /// How many channels the pool knows.
  var channelCount: Int { state.withLock { $0.entries.count } }

  /// Keeps those channels no longer that weren't used for the idle timeout, and forgets those that nobody
  /// has; when to look again. One that somebody still has stays the only one to its address.
  private func forgetUnused(_ now: Instant) -> Instant? {
    guard let timeout = configuration.idleTimeout, let check = state.withLock(\.check) else {
      return nil
    }
    guard check <= now else { return check }
    releaseUnused(now)
    return state.withLock { state in
      state.inOrder.removeAll { key in
        guard state.entries[key]?.channel == nil else { return false }
        state.entries[key] = nil
        return true
      }
      state.check = state.entries.isEmpty ? nil : now.advanced(by: timeout)
      return state.check
    }
  }

  private func releaseUnused(_ now: Instant) {
    let unused = state.withLock(\.channels).filter { $0.isUnused(now) }
    state.withLock { state in
      for channel in unused { state.entries[channel.key]?.kept = nil }
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
