internal import Synchronization

// A channel's connection: who waits for it, and what becomes of it.

extension Channel {
  private enum Step {
    case use(Connection)
    case fail(RPCError)
    case wait(Waiter, mustConnect: Bool)
  }

  /// The connection, made if there is none.
  func connection(
    until deadline: Instant?, _ waitsForReady: Bool
  ) async throws(RPCError) -> Connection {
    while true {
      let waiter: Waiter
      switch state.withLock({ step(&$0, deadline, waitsForReady) }) {
      case .use(let connection): return connection
      case .fail(let error): throw error
      case .wait(let new, let mustConnect):
        waiter = new
        if mustConnect { pool.connect(self) }
      }
      if let alarm = nextAlarm { pool.timekeeper.arm(alarm) }
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

  private func step(
    _ state: inout State, _ deadline: Instant?, _ waitsForReady: Bool
  ) -> Step {
    var mustConnect = false
    state.wasQuiet = false
    switch state.phase {
    case .ready(let connection): return .use(connection)
    case .stopped(let error): return .fail(error)
    case .down(let until, let error):
      mustConnect = pool.time.now >= until
      guard mustConnect || waitsForReady else { return .fail(error) }
    case .idle: mustConnect = true
    case .connecting: break
    }
    if mustConnect { state.phase = .connecting }
    let waiter = Waiter(deadline: deadline, waitsForReady: waitsForReady)
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
    let began = pool.time.now
    do {
      bytes = try await pool.connect(to: address)
    } catch {
      failed(error)
      return
    }
    let connection = Connection(
      role: .client, bytes: bytes, peer: address.description, configuration: pool.configuration,
      time: pool.time,
      events: Connection.Events(
        ready: { [weak self] in self?.became($0) },
        draining: { [weak self] in self?.leave($0) }), began: began)
    await connection.run()
    lost(connection)
  }

  /// The connection may be used.
  private func became(_ connection: Connection) {
    change { state in
      guard case .connecting = state.phase else { return nil }
      state.phase = .ready(connection)
      state.failures = 0
      return .all(nil)
    }
  }

  /// The connection takes no more calls: the next one makes another.
  func leave(_ connection: Connection) {
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
      let backoff = pool.configuration.backoff(after: state.failures, jitter: jitter)
      state.phase = .down(until: pool.time.now.advanced(by: backoff), error)
      return lasting == nil ? .impatient(error) : .all(error)
    }
    if let alarm = nextAlarm { pool.timekeeper.arm(alarm) }
  }

  /// Whether nobody has used it since this was asked before: it has no connection, and nobody waits for one
  /// or was told lately that there is none.
  func isUnused(_ now: Instant) -> Bool {
    state.withLock { state in
      let isQuiet =
        switch state.phase {
        case .idle: state.waiters.isEmpty
        case .down(let until, _): state.waiters.isEmpty && until <= now
        default: false
        }
      defer { state.wasQuiet = isQuiet }
      return isQuiet && state.wasQuiet
    }
  }

  /// The pool has ended.
  func stop() {
    change { state in
      let error = RPCError(.unavailable, "the channel to \(address) is closed")
      state.phase = .stopped(error)
      return .all(error)
    }
    for watcher in state.withLock({ $0.watchers.removeAll() }) { watcher.finish() }
  }

  /// Who goes on, and with which error.
  private enum Release {
    case all(RPCError?)
    /// Those that don't wait until the connection is ready.
    case impatient(RPCError)
  }

  /// Changes the state and lets those go on that `change` names.
  private func change(_ change: (inout State) -> Release?) {
    let waiting = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
      switch change(&state) {
      case nil: []
      case .all(let error): state.release(error) { _ in true }
      case .impatient(let error): state.release(error) { !$0.waitsForReady }
      }
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Ends the waiting of calls whose time is over, and tries again to connect for those that wait for
  /// it; when there is next something to do.
  func expire(_ now: Instant) -> Instant? {
    let error = RPCError(
      .deadlineExceeded, "no connection to \(address) within the call's deadline")
    let (late, mustConnect) = state.withLock { state in
      let late = state.release(error) { $0.deadline.map { $0 <= now } ?? false }
      guard case .down(let until, _) = state.phase, until <= now, !state.waiters.isEmpty else {
        return (late, false)
      }
      state.phase = .connecting
      return (late, true)
    }
    for continuation in late { continuation.resume() }
    if mustConnect { pool.connect(self) }
    return nextAlarm
  }

  /// When there is next something to do for those who wait; nil: not before something happens.
  private var nextAlarm: Instant? {
    state.withLock { state in
      let deadline = state.waiters.compactMap(\.deadline).min()
      guard case .down(let until, _) = state.phase, !state.waiters.isEmpty else { return deadline }
      return deadline.map { min($0, until) } ?? until
    }
  }
}

extension ConnectionConfiguration {
  /// How long to wait before another attempt to connect, after so many in a row have failed: twice as long
  /// for each, up to the longest, and of that from a half on as much as `jitter` says, which is below 1.
  func backoff(after failures: Int, jitter: Double) -> Duration {
    let doubled = firstBackoff * (1 << min(failures - 1, Self.mostDoublings))
    return min(doubled, longestBackoff) * (0.5 + jitter / 2)
  }

  /// A wait doubled so often is longer than any.
  private static let mostDoublings = 20
}

extension Channel.State {
  /// Forgets those who wait and are meant, and gives whom to resume.
  fileprivate mutating func release(
    _ error: RPCError?, _ isMeant: (Channel.Waiter) -> Bool
  ) -> [UnsafeContinuation<Void, Never>] {
    let released = waiters.filter(isMeant)
    waiters.removeAll(where: isMeant)
    return released.compactMap { waiter in
      waiter.error = error
      defer { waiter.continuation = nil }
      return waiter.continuation
    }
  }
}
