internal import Synchronization

// A drain in two steps, so that no call is lost. First the client is told and goes on to another
// connection, while calls that it made before it knew are served. Its answer to the ping behind the
// first GOAWAY shows that it knows; then the second one names the last call, and what comes later is
// refused. The connection closes when its last call has ended.

extension Connection {
  /// Server: has the client make no more calls here, lets those that run finish within `grace`, then
  /// closes.
  ///
  /// A client that hasn't said a word yet may have a call behind its first, since it has heard ours: it is told when
  /// that comes. One to which we haven't said a word either takes us for a server that can't be reached.
  func drain(grace: Duration) {
    enter { state, wakeups in
      guard !state.isClosing, state.drainEnds == nil else { return }
      if case .starting = state.phase, state.bytesSent == 0 {
        closeUnheard(RPCError(.unavailable, "the server is stopping"), &state, &wakeups)
        return
      }
      let now = time.now
      let ends = now.advanced(by: grace)
      state.drainEnds = ends
      arm(ends, &state)
      if case .open = state.phase { announceStop(&state, &wakeups, now: now) }
    }
  }

  /// Server: tells the client that the server stops, if it does.
  func announceStop(_ state: inout State, _ wakeups: inout Wakeups, now: Instant) {
    guard let ends = state.drainEnds else { return }
    announceDrain(
      "the server is stopping", within: min(Self.drainTimeout, now.duration(to: ends) / 2), &state,
      &wakeups, now: now)
  }

  /// Server: has the client make no more calls here; those that it makes after `time` are refused.
  func announceDrain(
    _ reason: String, within time: Duration, _ state: inout State, _ wakeups: inout Wakeups,
    now: Instant
  ) {
    guard state.machine.drain == .none else { return }
    state.machine.announceDrain()
    state.drainReason = reason
    sayGoAway(ConnectionMachine.drainAnnouncement, &state)
    state.outbox.append(
      .ping, stream: 0, message: ConnectionMachine.drainPing, messageLength: 8)
    wantFlush(&state, &wakeups)
    let refuses = now.advanced(by: time)
    state.drainRefuses = refuses
    arm(refuses, &state)
  }

  /// Server: refuses new calls from now on, once.
  func refuseCalls(_ state: inout State, _ wakeups: inout Wakeups) {
    guard state.machine.drain == .announced else { return }
    state.drainRefuses = nil
    sayGoAway(state.machine.refuseCalls(), &state)
    wantFlush(&state, &wakeups)
    closeIfDrained(&state, &wakeups)
  }

  /// Ends a connection that has been without calls for its time. A client closes it, and a call that
  /// begins just then takes another; a server drains it, so that such a call isn't lost.
  func expireIdle(_ state: inout State, _ wakeups: inout Wakeups, now: Instant) {
    guard let timeout = configuration.idleTimeout, let check = state.idleCheck, check <= now,
      case .open = state.phase, state.machine.drain == .none
    else { return }
    let isIdle = isIdle(state)
    if isIdle, state.idleAt == state.machine.lastID {
      state.idleCheck = nil
      let reason = "the connection to \(peer) was idle"
      if role == .client {
        close(RPCError(.unavailable, reason), &state, &wakeups)
      } else {
        announceDrain(reason, within: Self.drainTimeout, &state, &wakeups, now: now)
      }
    } else {
      state.idleAt = isIdle ? state.machine.lastID : nil
      state.idleCheck = now.advanced(by: timeout)
    }
  }

  /// Whether there are no calls, nor any that are about to be made.
  func isIdle(_ state: borrowing State) -> Bool {
    state.calls.isEmpty && state.queue.isEmpty && state.newCalls.isEmpty
      && state.admittedCount == 0 && state.machine.handlers == 0
  }

  /// Closes when no call is left to wait for.
  func closeIfDrained(_ state: inout State, _ wakeups: inout Wakeups) {
    guard state.calls.isEmpty, state.newCalls.isEmpty else { return }
    let isDrained =
      role == .server
      ? state.machine.drain == .refuses && state.machine.handlers == 0
      : state.machine.drain != .none
    guard isDrained else { return }
    close(leavingError(state), &state, &wakeups)
  }

  /// Ends the steps of a drain that have lasted their time.
  func expireDrain(_ state: inout State, _ wakeups: inout Wakeups, now: Instant) {
    if let refuses = state.drainRefuses, refuses <= now { refuseCalls(&state, &wakeups) }
    if let ends = state.drainEnds, ends <= now {
      close(RPCError(.unavailable, "the server has stopped"), &state, &wakeups)
    }
  }

  private func sayGoAway(_ last: UInt32, _ state: inout State) {
    let ending = CallEnding(code: .unavailable, message: state.drainReason)
    state.outbox.append(.goAway, stream: 0, message: UInt64(last), messageLength: 4) {
      ending.encode(into: &$0)
    }
  }
}
