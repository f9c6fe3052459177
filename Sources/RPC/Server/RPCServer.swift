internal import Synchronization

/// Serves a router's methods at an address.
///
/// `run()` lives as long as the server's connections and handlers: they are its children.
public final class RPCServer: Sendable {
  private enum Listening {
    case notYet
    case at(Address, any ByteListener)
    case failed(RPCError)
  }

  private struct State {
    var listening = Listening.notYet
    /// By number, who waits to know where it listens.
    var waiters: [(Int, UnsafeContinuation<Void, Never>)] = []
    var waiterCount = 0
    var connections: [Connection] = []
    /// Those that ever came in.
    var connectionCount: UInt64 = 0
    /// Set by `shutdown`.
    var grace: Duration?
  }

  /// How often idle connections are looked for that may leave, as they may get calls before they are told.
  private static let maxLooks = 3

  private let router: Router
  private let transport: any Transport
  private let address: Address
  let time: any TimeSource
  private let configuration: ConnectionConfiguration
  private let monitor: ServerMonitor
  private let heldBytes: HeldBytes
  private let state = Mutex(State())

  /// Serves `router` at `address` once `run()` is called; `monitor` watches it.
  public init(
    router: Router, transport: any Transport, address: Address, time: any TimeSource,
    configuration: ConnectionConfiguration = ConnectionConfiguration(),
    monitor: ServerMonitor = ServerMonitor()
  ) {
    self.monitor = monitor
    self.router = router
    self.transport = transport
    self.address = address
    self.time = time
    self.configuration = configuration
    heldBytes = HeldBytes(limit: configuration.maxServerHeldBytes)
  }

  /// Listens and serves until `shutdown` has drained it or the task is cancelled, which ends every call
  /// at once.
  ///
  /// - Throws: `RPCError` when it can't listen or accept.
  public func run() async throws {
    let listener: any ByteListener
    do {
      listener = try await transport.listen(on: address)
    } catch {
      let failure = error as? RPCError
      listens(
        .failed(failure ?? RPCError(.unavailable, "can't listen on \(address)", cause: error)))
      throw error
    }
    monitor.begins(self)
    listens(.at(listener.address, listener))
    defer {
      listener.close()
      listens(.failed(RPCError(.unavailable, "the server has stopped")))
    }
    try await withTaskCancellationHandler {
      try await withThrowingDiscardingTaskGroup { group in
        while let bytes = try await listener.accept() {
          group.addTask { await self.serve(bytes) }
        }
      }
    } onCancel: {
      listener.close()
    }
  }

  /// Where it listens, with the real port; waits until it does.
  ///
  /// - Throws: `RPCError` when listening failed, `cancelled` when this task is cancelled.
  public var listeningAddress: Address {
    get async throws {
      while true {
        switch state.withLock({ $0.listening }) {
        case .at(let address, _): return address
        case .failed(let error): throw error
        case .notYet: await waitForListening()
        }
        if Task.isCancelled { throw RPCError(.cancelled, "the task was cancelled") }
      }
    }
  }

  /// Accepts no more connections and calls, lets the calls that run finish within `grace`, then closes;
  /// `run()` returns. Returns at once.
  public func shutdown(grace: Duration = .seconds(5)) {
    let (connections, listening) = state.withLock { state in
      state.grace = grace
      return (state.connections, state.listening)
    }
    monitor.drains()
    if case .at(_, let listener) = listening { listener.close() }
    for connection in connections { connection.drain(grace: grace) }
  }

  /// The connections, in the order in which they came in.
  var connections: [Connection] { state.withLock { $0.connections } }

  private func serve(_ bytes: any ByteConnection) async {
    let number = state.withLock { state in
      state.connectionCount += 1
      return state.connectionCount
    }
    let connection = Connection(
      role: .server, bytes: bytes, peer: bytes.peer, number: number, router: router,
      configuration: configuration, time: time,
      events: Connection.Events(overBudget: { self.makeRoom() }), budget: heldBytes)
    let (grace, isTooMany) = state.withLock { state in
      state.connections.append(connection)
      return (state.grace, state.connections.count > configuration.maxConnections)
    }
    if isTooMany && !makePlace(for: connection) { connection.refuse() }
    if let grace { connection.drain(grace: grace) }
    await connection.run()
    state.withLock { $0.connections.removeAll { $0 === connection } }
  }

  /// Has an idle connection leave, so that one more may stay; false when it can't.
  private func makePlace(for newcomer: Connection) -> Bool {
    let others = connections.filter { $0 !== newcomer }
    for _ in 0..<Self.maxLooks {
      switch Occupant.admission(
        of: newcomer.host, beside: others.map(\.occupant), limit: configuration.maxConnections)
      {
      case .stays: return true
      case .isRefused: return false
      case .displaces(let place): if others[place].displace() { return true }
      }
    }
    return false
  }

  /// Gives up connections until there is room: of the peer whose connections hold the most together, the one
  /// that holds the most, and so on.
  private func makeRoom() {
    var holders = connections.map { Holder(connection: $0, bytes: $0.heldBytes) }
      .filter { $0.bytes > 0 }
    while heldBytes.isOver, let place = Holder.first(of: holders) {
      holders.remove(at: place).connection.shed()
    }
  }

  private func listens(_ listening: Listening) {
    let (waiters, mustClose) = state.withLock { state in
      if case .failed = state.listening { return (state.waiters, false) }
      state.listening = listening
      defer { state.waiters = [] }
      return (state.waiters, state.grace != nil)
    }
    for (_, waiter) in waiters { waiter.resume() }
    if mustClose, case .at(_, let listener) = listening { listener.close() }
  }

  private func waitForListening() async {
    let number = state.withLock { state in
      state.waiterCount += 1
      return state.waiterCount
    }
    await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        let mustWait = state.withLock { state in
          guard case .notYet = state.listening, !Task.isCancelled else { return false }
          state.waiters.append((number, continuation))
          return true
        }
        if !mustWait { continuation.resume() }
      }
    } onCancel: {
      let waiter = state.withLock { state in
        let place = state.waiters.firstIndex { $0.0 == number }
        return place.map { state.waiters.remove(at: $0).1 }
      }
      waiter?.resume()
    }
  }
}
