internal import Synchronization

/// A connection as the limit on their number sees it.
struct Occupant: Sendable, Hashable {
  /// Whose it is.
  let host: Substring
  /// Since when it has had no call and said nothing; nil: it has calls.
  let idleSince: Instant?
  /// It is about to go.
  let isLeaving: Bool

  /// What becomes of a connection that comes in.
  enum Admission: Sendable, Hashable {
    case stays
    /// It stays, and the other one at that place is to leave.
    case displaces(Int)
    case isRefused
  }

  /// One connection in so many may be leaving beside those that stay: they take a second at most for it.
  private static let leavingShare = 16

  /// Decides on a connection from `host` that comes to `others`, of which `limit` may stay.
  ///
  /// It takes the place of the one that has been idle longest, of the host that has the most. So nobody keeps
  /// others out by connections that do nothing, and no host displaces one that has fewer.
  static func admission(
    of host: Substring, beside others: [Occupant], limit: Int
  ) -> Admission {
    guard others.count < limit + max(limit / leavingShare, 1) else { return .isRefused }
    let staying = others.indices.filter { !others[$0].isLeaving }
    guard staying.count >= limit else { return .stays }
    var counts = [host: 1]
    for place in staying { counts[others[place].host, default: 0] += 1 }
    let own = counts[host] ?? 1
    var victim: (place: Int, count: Int, since: Instant)?
    for place in staying {
      guard let since = others[place].idleSince, let count = counts[others[place].host],
        count >= own
      else { continue }
      if let best = victim, (best.count, since) >= (count, best.since) { continue }
      victim = (place, count, since)
    }
    return victim.map { .displaces($0.place) } ?? .isRefused
  }
}

extension Connection {
  /// Whose it is: the peer's host, as one peer may have any number of ports.
  var host: Substring { peer.lastIndex(of: ":").map { peer[..<$0] } ?? peer[...] }

  /// What it is to the limit on a server's connections.
  var occupant: Occupant {
    state.withLock { state in
      Occupant(
        host: host, idleSince: isIdle(state) ? state.lastReceived : nil,
        isLeaving: state.isClosing || state.machine.drain != .none)
    }
  }

  /// Server: has an idle connection leave, as another needs its place; false when it isn't idle any more. It is
  /// drained, so that a call which begins just then isn't lost.
  func displace() -> Bool {
    enter { state, wakeups in
      guard !state.isClosing, state.machine.drain == .none, isIdle(state) else { return false }
      let reason = "the server needs its place for another connection"
      if case .open = state.phase {
        announceDrain(reason, within: Self.drainTimeout, &state, &wakeups, now: time.now)
      } else {
        closeUnheard(RPCError(.resourceExhausted, reason), &state, &wakeups)
      }
      return true
    }
  }
}
