internal import Synchronization

// A drain in two steps, so that no call is lost. First the client is told and goes on to another
// connection, while calls that it made before it knew are served. Its answer to the ping behind the
// first GOAWAY shows that it knows; then the second one names the last call, and what comes later is
// refused. The connection closes when its last call has ended.

extension Connection {
  /// Server: has the client make no more calls here, lets those that run finish within `grace`, then
  /// closes.
  func drain(grace: Duration) {
    enter { state, wakeups in
      guard !state.isClosing, state.machine.drain == .none else { return }
      guard case .open = state.phase else {
        close(RPCError(.unavailable, "the server is stopping"), &state, &wakeups)
        return
      }
      state.machine.announceDrain()
      sayGoAway(ConnectionMachine.drainAnnouncement, &state)
      state.outbox.append(
        .ping, stream: 0, message: ConnectionMachine.drainPing, messageLength: 8)
      wantFlush(&state, &wakeups)
      let now = time.now
      let refuses = now.advanced(by: min(Self.drainTimeout, grace / 2))
      let ends = now.advanced(by: grace)
      state.drainRefuses = refuses
      state.drainEnds = ends
      arm(refuses, &state)
    }
  }

  /// Server: refuses new calls from now on, once.
  func refuseCalls(_ state: inout State, _ wakeups: inout Wakeups) {
    guard state.machine.drain == .announced else { return }
    state.drainRefuses = nil
    sayGoAway(state.machine.refuseCalls(), &state)
    wantFlush(&state, &wakeups)
    closeIfDrained(&state, &wakeups)
  }

  /// Closes when no call is left to wait for.
  func closeIfDrained(_ state: inout State, _ wakeups: inout Wakeups) {
    guard state.calls.isEmpty, state.newCalls.isEmpty else { return }
    let isDrained =
      role == .server
      ? state.machine.drain == .refuses && state.machine.handlers == 0
      : state.machine.drain != .none
    guard isDrained else { return }
    close(RPCError(.unavailable, "\(peer) is stopping"), &state, &wakeups)
  }

  /// Ends the steps of a drain that have lasted their time.
  func expireDrain(_ state: inout State, _ wakeups: inout Wakeups, now: Instant) {
    if let refuses = state.drainRefuses, refuses <= now { refuseCalls(&state, &wakeups) }
    if let ends = state.drainEnds, ends <= now {
      close(RPCError(.unavailable, "the server has stopped"), &state, &wakeups)
    }
  }

  private func sayGoAway(_ last: UInt32, _ state: inout State) {
    let ending = CallEnding(code: .unavailable, message: "the server is stopping")
    state.outbox.append(.goAway, stream: 0, message: UInt64(last), messageLength: 4) {
      ending.encode(into: &$0)
    }
  }
}
