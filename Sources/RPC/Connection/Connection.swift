internal import NIOCore
internal import Synchronization

/// A connection at work: the shell around `ConnectionMachine`.
///
/// Everything that happens goes through one door: take the lock, let the machine decide, change the
/// books, free the lock, let those go on who waited. `run()` owns the tasks: the handlers of a server's
/// calls, one timekeeper, and itself, which starts handlers and writes what has gathered. They prefer
/// the transport's executor, so that they run where the bytes arrive.
///
/// Bytes are handed to the transport under the lock, which keeps them in order; a transport never
/// calls its handler from inside `write`, `setReading` or `close`.
final class Connection: ByteHandler, Sendable {
  /// What the connection's owner wants to hear of. Called without the lock.
  struct Events: Sendable {
    /// Client: calls may be made.
    var ready: @Sendable (Connection) -> Void = { _ in }
    /// Client: no new calls are taken, as the server is stopping or no ids are left.
    var draining: @Sendable (Connection) -> Void = { _ in }
    /// Server: with what came in, all connections hold more than their budget.
    var overBudget: @Sendable () -> Void = {}
  }

  enum Phase {
    /// The peer's preface hasn't come.
    case starting
    case open
    /// Nothing more comes in or goes out than what is written already.
    case closing(RPCError)
  }

  struct State {
    var machine: ConnectionMachine
    var decoder: FrameDecoder
    var outbox = Outbox()
    var phase = Phase.starting
    /// Open calls; on a server, those whose callers still listen.
    var calls: [UInt32: Call] = [:]
    /// Server: calls whose handlers are to be started.
    var newCalls: [(Call, Router.Route)] = []
    /// Client: calls that wait for a place.
    var queue: [Call] = []
    /// Client: calls that were given a place and haven't come to take it.
    var admittedCount = 0
    /// Client: numbers of methods by path.
    var methodIDs: [String: UInt32] = [:]
    /// The pump, when it waits.
    var pump: UnsafeContinuation<Void, Never>?
    var isFlushWanted = false
    var isWritable = true
    /// Bytes written since the connection stalled, without those that were ready then: below 0 while some of
    /// these are to go.
    var piledBytes = 0
    /// Whether the transport reads; it doesn't while too many bytes are piled up.
    var isReading = true
    /// Whether the peer takes what waits for it.
    var stall = StallWatch()
    /// The transport has said its last word.
    var isGone = false
    /// Server: what the metadata of the calls that have handlers take in memory.
    var metadataBytes = 0
    /// What the budget was told that it holds.
    var charged = 0
    var lastReceived: Instant
    var bytesReceived: UInt64 = 0
    var bytesSent: UInt64 = 0
    var pingSent: Instant?
    /// Whether the frame that is coming in goes on.
    var frameWatch = FrameWatch()
    /// Server: when new calls are refused, whether the client knows or not.
    var drainRefuses: Instant?
    var drainEnds: Instant?
    var drainReason = ""
    var armed: Instant?
    /// The timekeeper looks after a peer that has calls and may fall silent.
    var isWatched = false
    /// When to look whether the connection has been idle, and the last call's id when it was at the look
    /// before.
    var idleCheck: Instant?
    var idleAt: UInt32?
    /// When it came in, or when the attempt to connect began.
    let began: Instant
  }

  let role: ConnectionRole
  let bytes: any ByteConnection
  /// The other side, for errors and logs.
  let peer: String
  /// Server: counts its connections from 1.
  let number: UInt64
  let router: Router
  let configuration: ConnectionConfiguration
  let time: any TimeSource
  let events: Events
  let timekeeper: Timekeeper
  /// Server: what all connections may hold.
  let budget: HeldBytes?
  let state: Mutex<State>

  /// Bytes that gather at most before they are handed to the transport.
  static let flushBytes = 1 << 20
  /// Frames that gather at most: enough that the system call is cheap for each of them, and few enough
  /// that both sides work at the same time rather than in turns.
  static let flushFrames = 32
  /// Bytes that may pile up for a peer that doesn't read before nothing more is read from it.
  static let piledBytes = 256 << 10
  /// What a server's call counts for in memory beside its messages: its task, its books, and the rest of the
  /// read in which its waiting messages lie.
  static let callBytes = InboundQueue.keptReadBytes + 4 << 10
  /// How long a preface may take at a server.
  static let prefaceTimeout: Duration = .seconds(5)
  /// How long a drain waits at most for the client to hear of it.
  static let drainTimeout: Duration = .seconds(1)

  init(
    role: ConnectionRole, bytes: any ByteConnection, peer: String, number: UInt64 = 0,
    router: Router = Router(), configuration: ConnectionConfiguration, time: any TimeSource,
    events: Events = Events(), budget: HeldBytes? = nil, began: Instant? = nil
  ) {
    self.role = role
    self.bytes = bytes
    self.peer = peer
    self.number = number
    self.router = router
    self.configuration = configuration
    self.time = time
    self.events = events
    self.budget = budget
    timekeeper = Timekeeper(time: time)
    let settings = PeerSettings(configuration)
    let now = time.now
    var state = State(
      machine: ConnectionMachine(
        role: role, settings: settings, limits: ConnectionMachine.Limits(configuration)),
      decoder: FrameDecoder(settings: settings), lastReceived: now,
      idleCheck: configuration.idleTimeout.map { now.advanced(by: $0) }, began: began ?? now)
    state.outbox.tail = settings.preface
    state.isFlushWanted = true
    self.state = Mutex(state)
  }

  /// Serves the connection until it is gone and its handlers have returned. Cancelling the task closes
  /// it and ends its calls at once.
  func run() async {
    await withTaskExecutorPreference(bytes.executor) {
      await withTaskCancellationHandler {
        await withDiscardingTaskGroup { group in
          group.addTask { await self.bytes.run() }
          group.addTask { await self.keepTime() }
          bytes.start(self)
          while let calls = await nextCalls() {
            for (call, route) in calls {
              group.addTask { await self.serve(call, route) }
            }
          }
          timekeeper.stop()
        }
      } onCancel: {
        close(RPCError(.cancelled, "the connection to \(peer) was given up"))
      }
    }
  }

  /// The pump: writes what has gathered; returns calls whose handlers are to be started, nil when the
  /// connection is gone.
  private func nextCalls() async -> [(Call, Router.Route)]? {
    while true {
      var wakeups = Wakeups()
      let (calls, isGone, mustYield) = state.withLock { state in
        if state.isFlushWanted { flush(&state, &wakeups) }
        defer { state.newCalls = [] }
        return (state.newCalls, state.isGone, state.isFlushWanted)
      }
      wakeups.run()
      if !calls.isEmpty { return calls }
      if isGone { return nil }
      if mustYield {
        await Task.yield()
        continue
      }
      await withUnsafeContinuation { continuation in
        let isBusy = state.withLock { state in
          if state.isFlushWanted || state.isGone || !state.newCalls.isEmpty { return true }
          state.pump = continuation
          return false
        }
        if isBusy { continuation.resume() }
      }
    }
  }

  /// Goes through the door: changes the state under the lock, then lets those go on who waited. When
  /// many frames have gathered they leave at once, so that the peer works on them while more are made.
  func enter<Result>(_ change: (inout State, inout Wakeups) throws -> sending Result) rethrows
    -> sending Result
  {
    var wakeups = Wakeups()
    defer { wakeups.run() }
    return try state.withLock { state in
      defer {
        if state.outbox.frameCount >= Self.flushFrames { flush(&state, &wakeups) }
        if let budget { settle(budget, &state, &wakeups) }
      }
      return try change(&state, &wakeups)
    }
  }
}

// MARK: What the transport says

extension Connection {
  func received(_ bytes: ByteBuffer) -> Int {
    enter { state, wakeups in
      guard !state.isClosing else { return 0 }
      let now = time.now
      state.lastReceived = now
      let count = bytes.readableBytes
      state.bytesReceived += UInt64(count)
      state.pingSent = nil
      state.decoder.feed(bytes)
      do throws(ConnectionFailure) {
        while let event = try state.decoder.next() {
          let action = try state.machine.received(event, now: now)
          perform(action, &state, &wakeups, now: now)
          if state.isClosing { return 0 }
        }
      } catch {
        fail(error, &state, &wakeups)
      }
      let whole = state.decoder.isInsideFrame ? state.decoder.wholeFrames : nil
      state.frameWatch.received(count, behind: whole, now: now)
      if let due = state.frameWatch.due { arm(due, &state) }
      state.decoder.releaseInput()
      return state.decoder.bodyLeft
    }
  }

  func receivedAll() {
    enter { state, wakeups in flush(&state, &wakeups) }
  }

  func writabilityChanged(_ isWritable: Bool) {
    enter { state, wakeups in
      // What is ready was written while there was room: pieces of large messages, most of it. From now on
      // nothing is added that waits for room, so what the peer has us write is all that can pile up.
      if state.isWritable && !isWritable { state.piledBytes = -state.outbox.byteCount }
      state.isWritable = isWritable
      guard isWritable else { return }
      readOn(&state)
      flush(&state, &wakeups)
    }
  }

  func sent(_ left: UInt64, unsent: Int) {
    enter { state, _ in
      state.stall.transport(left: left, unsent: unsent)
      watchStall(&state)
    }
  }

  func closed(_ error: RPCError?) {
    enter { state, wakeups in
      let reason = error.map { "the connection to \(peer) was lost: \($0.message)" }
      close(
        RPCError(
          error?.code == .unauthenticated ? .unauthenticated : .unavailable,
          reason ?? "\(peer) closed the connection", cause: error), &state, &wakeups)
      state.isGone = true
      wakeups.resume(&state.pump)
    }
  }
}

// MARK: Going

extension Connection {
  /// Ends everything with `error`: open calls fail, handlers are cancelled, what is written still goes.
  func close(_ error: RPCError) {
    enter { state, wakeups in close(error, &state, &wakeups) }
  }

  func close(_ error: RPCError, _ state: inout State, _ wakeups: inout Wakeups) {
    guard !state.isClosing else { return }
    state.phase = .closing(error)
    let calls = state.calls.sorted { $0.key < $1.key }.map(\.value) + state.queue
    for call in calls {
      if call.id == 0 { call.isUnprocessed = true }
      end(call, error, &state, &wakeups)
    }
    state.queue = []
    state.calls = [:]
    state.machine.forgetCalls()
    state.decoder = FrameDecoder(settings: state.machine.local)
    for (call, _) in state.newCalls { wakeups.cancelHandler(of: call) }
    timekeeper.stop()
    let output = state.outbox.take()
    if !output.isEmpty { bytes.write(output) }
    bytes.close()
  }

  /// A connection error: the peer is told, and everything ends.
  func fail(_ failure: ConnectionFailure, _ state: inout State, _ wakeups: inout Wakeups) {
    let speaksFrames = if case .open = state.phase { true } else { failure.isOfSettings }
    if speaksFrames {
      let ending = CallEnding(code: failure.code, message: failure.message)
      state.outbox.append(.error, stream: 0) { ending.encode(into: &$0) }
    }
    let text = "the connection to \(peer) broke a rule: \(failure.message)"
    let code = failure.code == .unauthenticated ? failure.code : .unavailable
    close(RPCError(code, text, cause: failure), &state, &wakeups)
  }
}

// MARK: The server's memory

extension Connection {
  /// What came in and wasn't taken: messages that wait for their readers, messages and frames that aren't
  /// whole, the metadata of calls and the calls themselves, and paths that have numbers; and what the peer
  /// doesn't take: messages that wait for credit or room, and what the transport couldn't send.
  var heldBytes: Int { state.withLock { held($0) } }

  private func held(_ state: borrowing State) -> Int {
    guard !state.isClosing else { return 0 }
    let messages = state.machine.incoming.held + state.machine.unfinished
    let calls = state.machine.handlers * Self.callBytes + state.machine.methods.bytes
    return Int(clamping: messages) + state.metadataBytes + state.decoder.keptBytes + calls
      + state.outbox.pendingBytes + state.stall.unsent
  }

  /// Tells the budget what is held now.
  private func settle(_ budget: HeldBytes, _ state: inout State, _ wakeups: inout Wakeups) {
    let held = held(state)
    guard held != state.charged else { return }
    let isMore = held > state.charged
    let isOver = budget.change(by: held - state.charged)
    state.charged = held
    if isMore && isOver { wakeups.perform { self.events.overBudget() } }
  }

  /// Server: closes the connection before anything is sent, which a client takes for a server that can't be
  /// reached: it backs off.
  func refuse() {
    enter { state, wakeups in
      closeUnheard(RPCError(.resourceExhausted, "too many connections"), &state, &wakeups)
    }
  }

  /// Closes without a word: what is written doesn't leave.
  func closeUnheard(_ error: RPCError, _ state: inout State, _ wakeups: inout Wakeups) {
    state.outbox = Outbox()
    close(error, &state, &wakeups)
  }

  /// Gives the connection up, as the server needs the memory that it holds.
  func shed() {
    enter { state, wakeups in
      fail(
        ConnectionFailure(
          "the server's memory is used up, and this connection holds most of it",
          code: .resourceExhausted), &state, &wakeups)
    }
  }
}

extension Connection {
  /// Whether the peer's preface ever came.
  var wasOpen: Bool { state.withLock { $0.machine.remote != nil } }

  /// Why it ended; nil while it hasn't.
  var closingError: RPCError? {
    state.withLock { state in
      if case .closing(let error) = state.phase { error } else { nil }
    }
  }
}

extension Connection.State {
  var isClosing: Bool {
    if case .closing = phase { true } else { false }
  }
}
