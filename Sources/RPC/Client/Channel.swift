internal import Schema
internal import Synchronization

/// A client's way to one address: connects when a call needs it, and anew when the connection was lost.
///
/// While the address can't be reached, calls fail at once with `unavailable`, unless they wait until it
/// can; after a wait that grows with each failure the next call, or the one that waits, tries again. A
/// call that the server surely never began is made again, on another connection if need be: where its
/// requests are still at hand, which those of a call of many are only until it is open.
final class Channel: CallChannel {
  /// A call that waits for the connection. Guarded by the channel's lock.
  final class Waiter: @unchecked Sendable {
    let deadline: Instant?
    /// It stays when an attempt to connect failed.
    let waitsForReady: Bool
    var continuation: UnsafeContinuation<Void, Never>?
    var error: RPCError?

    init(deadline: Instant?, waitsForReady: Bool) {
      self.deadline = deadline
      self.waitsForReady = waitsForReady
    }
  }

  enum Phase {
    case idle
    case connecting
    case ready(Connection)
    case down(until: Instant, RPCError)
    case stopped(RPCError)
  }

  struct State {
    var phase = Phase.idle {
      didSet {
        let connectivity = phase.connectivity
        if connectivity != oldValue.connectivity { watchers.tell(connectivity) }
      }
    }
    var watchers = ConnectivityWatchers()
    var waiters: [Waiter] = []
    /// Attempts to connect that failed since the last success.
    var failures = 0
    /// Whether calls may be tried again.
    var throttle: RetryThrottle
    /// Whether it was quiet when that was last looked at, and no call came since.
    var wasQuiet = false
  }

  let key: ChannelPool.Key
  let pool: ChannelPool
  let state: Mutex<State>

  /// How often a call goes on to another connection, as the one it was given takes none. Servers that
  /// refuse everything aren't asked for ever.
  private static let maxMoves = 10

  var address: Address { key.address }

  init(_ key: ChannelPool.Key, pool: ChannelPool) {
    self.key = key
    self.pool = pool
    state = Mutex(State(throttle: RetryThrottle(pool.configuration.retryBudget)))
  }

  func unary<Request: Message, Response: Message>(
    _ method: Method<Request, Response>, _ request: Request, options: CallOptions
  ) async throws -> UnaryResponse<Response> {
    let deadline = try deadline(of: options)
    guard method.isIdempotent else {
      return try await attempt(method, request, options, deadline)
    }
    switch options.attempts ?? pool.configuration.attempts {
    case .once: return try await attempt(method, request, options, deadline)
    case .retry(let policy):
      return try await retried(method, request, options, deadline, policy)
    case .hedge(let policy):
      return try await hedged(method, request, options, deadline, policy)
    }
  }

  /// Makes a unary call once; until the server has begun it, on another connection if need be.
  func attempt<Request: Message, Response: Message>(
    _ method: Method<Request, Response>, _ request: Request, _ options: CallOptions,
    _ deadline: Instant?
  ) async throws -> UnaryResponse<Response> {
    try await placed(method.path, options, deadline) { call in
      try await call.connection.unary(
        call, request, metadata: options.metadata, as: Response.self)
    }
  }

  func stream<Request: Message, Response: Message, Result: Sendable>(
    _ method: Method<Request, Response>, options: CallOptions,
    _ body: @Sendable (MessageWriter<Request>, MessageReader<Response>) async throws -> Result
  ) async throws -> Result {
    let call = try await placed(method.path, options, deadline(of: options)) { call in
      try await call.connection.open(call, metadata: options.metadata)
      return call
    }
    return try await converse(call, options, body)
  }

  func serverStreaming<Request: Message, Response: Message, Result: Sendable>(
    _ method: Method<Request, Response>, _ request: Request, options: CallOptions,
    _ receive: @Sendable (MessageReader<Response>) async throws -> Result
  ) async throws -> Result {
    try await placed(method.path, options, deadline(of: options)) { call in
      try await call.connection.open(call, metadata: options.metadata)
      return try await converse(call, options) { (writer: MessageWriter<Request>, reader) in
        try await writer.write(request)
        try await writer.finish()
        return try await receive(reader)
      }
    }
  }

  /// Runs `body` with the messages of an open call, and ends the call.
  private func converse<Request: Message, Response: Message, Result: Sendable>(
    _ call: Call, _ options: CallOptions,
    _ body: @Sendable (MessageWriter<Request>, MessageReader<Response>) async throws -> Result
  ) async throws -> Result {
    do {
      let executor = options.runsOnConnection ? call.connection.bytes.executor : nil
      let result = try await withTaskExecutorPreference(executor) {
        try await body(MessageWriter(call), MessageReader(call))
      }
      call.connection.abandon(call, RPCError(.cancelled, "the caller has what it wants"))
      return result
    } catch {
      call.connection.abandon(call, RPCError(.cancelled, "the caller failed"))
      throw error
    }
  }

  /// Makes a call by `make`, on a connection that takes it: after a failure again, while the server surely
  /// never began it.
  private func placed<Result>(
    _ path: String, _ options: CallOptions, _ deadline: Instant?,
    _ make: (Call) async throws -> Result
  ) async throws -> Result {
    var moves = 0
    while true {
      let connection = try await connection(until: deadline, options.waitsForReady)
      let call = Call(connection: connection, path: path, deadline: deadline)
      call.maxMessageBytes = options.maxMessageBytes
      do {
        return try await make(call)
      } catch {
        guard mayMove(call, &moves) else { throw error }
      }
    }
  }

  /// Whether a call that failed may be made again at once: the server surely never began it, and nobody was
  /// given a response. Once on the same connection, more often on others.
  private func mayMove(_ call: Call, _ moves: inout Int) -> Bool {
    guard call.isUnprocessed, !call.inbound.hadMessages, !Task.isCancelled else { return false }
    leave(call.connection)
    moves += 1
    return moves <= (call.connection.takesCalls ? 1 : Self.maxMoves)
  }

  /// The earlier of what the caller asks for and what is left of the call that it serves.
  private func deadline(of options: CallOptions) throws(RPCError) -> Instant? {
    guard options.metadata.isValid else {
      throw RPCError(
        .invalidArgument,
        "metadata keys are lower-case ASCII, values printable unless the key ends in -bin")
    }
    var deadline = CallContext.current?.deadline
    guard options.timeout != nil || deadline != nil else { return nil }
    let now = pool.time.now
    if let timeout = options.timeout {
      let own = now.advanced(by: timeout)
      deadline = deadline.map { min($0, own) } ?? own
    }
    if let deadline, deadline <= now {
      throw RPCError(.deadlineExceeded, "no time was left to call \(address)")
    }
    return deadline
  }
}
