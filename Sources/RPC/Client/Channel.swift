internal import Schema
internal import Synchronization

/// A client's way to one address: connects when a call needs it, and anew when the connection was lost.
///
/// While the address can't be reached, calls fail at once with `unavailable`; after a wait that grows
/// with each failure the next call tries again. A call that the server surely never began is made a
/// second time, on another connection if need be.
final class Channel: CallChannel {
  /// A call that waits for the connection. Guarded by the channel's lock.
  private final class Waiter: @unchecked Sendable {
    let deadline: Instant?
    var continuation: UnsafeContinuation<Void, Never>?
    var error: RPCError?

    init(deadline: Instant?) {
      self.deadline = deadline
    }
  }

  private enum Phase {
    case idle
    case connecting
    case ready(Connection)
    case down(until: Instant, RPCError)
    case stopped(RPCError)
  }

  private struct State {
    var phase = Phase.idle
    var waiters: [Waiter] = []
    /// Attempts that failed since the last success.
    var failures = 0
  }

  let address: Address
  private let pool: ChannelPool
  private let state = Mutex(State())

  init(address: Address, pool: ChannelPool) {
    self.address = address
    self.pool = pool
  }

  func unary<Request: Message, Response: Message>(
    _ method: Method<Request, Response>, _ request: Request, options: CallOptions
  ) async throws -> UnaryResponse<Response> {
    let deadline = try deadline(of: options)
    var isRetry = false
    while true {
      let connection = try await connection(until: deadline)
      let call = Call(connection: connection, path: method.path, deadline: deadline)
      call.maxMessageBytes = options.maxMessageBytes
      do {
        return try await connection.unary(
          call, request, metadata: options.metadata, as: Response.self)
      } catch {
        guard call.isUnprocessed, !isRetry, !Task.isCancelled else { throw error }
        leave(connection)
        isRetry = true
      }
    }
  }

  func stream<Request: Message, Response: Message, Result: Sendable>(
    _ method: Method<Request, Response>, options: CallOptions,
    _ body: @Sendable (MessageWriter<Request>, MessageReader<Response>) async throws -> Result
  ) async throws -> Result {
    let deadline = try deadline(of: options)
    let call = try await open(method.path, options, deadline: deadline)
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

  /// Opens a streaming call.
  private func open(
    _ path: String, _ options: CallOptions, deadline: Instant?
  ) async throws(RPCError) -> Call {
    var isRetry = false
    while true {
      let connection = try await connection(until: deadline)
      let call = Call(connection: connection, path: path, deadline: deadline)
      call.maxMessageBytes = options.maxMessageBytes
      do throws(RPCError) {
        try await connection.open(call, metadata: options.metadata)
        return call
      } catch {
        guard call.isUnprocessed, !isRetry, !Task.isCancelled else { throw error }
        leave(connection)
        isRetry = true
      }
    }
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

// MARK: The connection

extension Channel {
  private enum Step {
    case use(Connection)
    case fail(RPCError)
    case wait(Waiter, mustConnect: Bool)
  }

  /// The connection, made if there is none.
  private func connection(until deadline: Instant?) async throws(RPCError) -> Connection {
    while true {
      let waiter: Waiter
      switch state.withLock({ step(&$0, deadline) }) {
      case .use(let connection): return connection
      case .fail(let error): throw error
      case .wait(let new, let mustConnect):
        waiter = new
        if mustConnect { pool.connect(self) }
      }
      if let deadline { pool.timekeeper.arm(deadline) }
      await wait(waiter)
      let error = state.withLock { state in
        state.waiters.removeAll { $0 === waiter }
        return waiter.error
      }
      if let error { throw error }
      if Task.isCancelled {
        throw RPCError(.cancelled, "the task was cancelled while it connected to \(address)")
      }
    }
  }

  private func step(_ state: inout State, _ deadline: Instant?) -> Step {
    var mustConnect = false
    switch state.phase {
    case .ready(let connection): return .use(connection)
    case .stopped(let error): return .fail(error)
    case .down(let until, let error):
      guard pool.time.now >= until else { return .fail(error) }
      mustConnect = true
    case .idle: mustConnect = true
    case .connecting: break
    }
    state.phase = .connecting
    let waiter = Waiter(deadline: deadline)
    state.waiters.append(waiter)
    return .wait(waiter, mustConnect: mustConnect)
  }

  private func wait(_ waiter: Waiter) async {
    await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        let mustWait = state.withLock { state in
          guard !Task.isCancelled, state.waiters.contains(where: { $0 === waiter }) else {
            return false
          }
          waiter.continuation = continuation
          return true
        }
        if !mustWait { continuation.resume() }
      }
    } onCancel: {
      let continuation = state.withLock { _ in
        let continuation = waiter.continuation
        waiter.continuation = nil
        return continuation
      }
      continuation?.resume()
    }
  }

  /// Connects, and serves the connection until it is lost: a child task of the pool.
  func serve() async {
    let bytes: any ByteConnection
    do {
      bytes = try await pool.connect(to: address)
    } catch {
      failed(error)
      return
    }
    let connection = Connection(
      role: .client, bytes: bytes, peer: address.description, configuration: pool.configuration,
      time: pool.time,
      events: Connection.Events(ready: { [weak self] connection in self?.became(connection) }))
    await connection.run()
    lost(connection)
  }

  /// The connection may be used.
  private func became(_ connection: Connection) {
    change { state in
      guard case .connecting = state.phase else { return nil }
      state.phase = .ready(connection)
      state.failures = 0
      return .some(nil)
    }
  }

  /// A call found that the connection takes no more calls.
  private func leave(_ connection: Connection) {
    guard !connection.takesCalls else { return }
    state.withLock { state in
      if case .ready(let current) = state.phase, current === connection { state.phase = .idle }
    }
  }

  /// The connection is gone.
  private func lost(_ connection: Connection) {
    var neverReady: RPCError?
    state.withLock { state in
      switch state.phase {
      case .ready(let current) where current === connection: state.phase = .idle
      case .connecting where !connection.wasOpen: neverReady = connection.closingError
      default: break
      }
    }
    if let neverReady { failed(neverReady) }
  }

  /// An attempt to connect failed.
  private func failed(_ cause: any Error) {
    // The transport has said to whom and why not; an address that is none stays the caller's mistake,
    // and a peer that isn't trusted, or doesn't trust, will be no other a moment later.
    let known = cause as? RPCError
    let lasting = known.flatMap {
      [.invalidArgument, .unauthenticated].contains($0.code) ? $0.code : nil
    }
    let error = RPCError(
      lasting ?? .unavailable,
      known?.message ?? "can't connect to \(address): \(cause)", cause: cause)
    let jitter = Double(pool.random.next() >> 11) / Double(1 << 53)
    change { state in
      guard case .connecting = state.phase else { return nil }
      state.failures += 1
      let configuration = pool.configuration
      let doubled = configuration.firstBackoff * (1 << min(state.failures - 1, 20))
      let backoff = min(doubled, configuration.longestBackoff) * (0.5 + jitter / 2)
      state.phase = .down(until: pool.time.now.advanced(by: backoff), error)
      return error
    }
  }

  /// The pool has ended.
  func stop() {
    change { state in
      let error = RPCError(.unavailable, "the channel to \(address) is closed")
      state.phase = .stopped(error)
      return error
    }
  }

  /// Changes the state; unless `change` gives nil, whoever waits goes on, with the error it gives.
  private func change(_ change: (inout State) -> RPCError??) {
    let waiting = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
      guard let error = change(&state) else { return [] }
      let continuations = state.waiters.compactMap { waiter in
        waiter.error = error
        defer { waiter.continuation = nil }
        return waiter.continuation
      }
      state.waiters = []
      return continuations
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Ends the waiting of calls whose time is over; when the next one is.
  func expire(_ now: Instant) -> Instant? {
    var late: [UnsafeContinuation<Void, Never>] = []
    let next = state.withLock { state -> Instant? in
      for waiter in state.waiters where waiter.deadline.map({ $0 <= now }) ?? false {
        waiter.error = RPCError(
          .deadlineExceeded, "no connection to \(address) within the call's deadline")
        if let continuation = waiter.continuation { late.append(continuation) }
        waiter.continuation = nil
      }
      state.waiters.removeAll { $0.error != nil }
      return state.waiters.compactMap(\.deadline).min()
    }
    for continuation in late { continuation.resume() }
    return next
  }
}
