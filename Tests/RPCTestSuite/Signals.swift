internal import Synchronization

/// Things that happened, by name: tests wait for them instead of sleeping.
package final class Signals: Sendable {
  private struct State {
    var seen: Set<String> = []
    var waiters: [(name: String, continuation: CheckedContinuation<Void, Never>)] = []
  }

  private let state = Mutex(State())

  /// Nothing has happened.
  package init() {}

  /// It happened.
  package func send(_ name: String) {
    let continuations = state.withLock { state in
      state.seen.insert(name)
      let hit = state.waiters.filter { $0.name == name }
      state.waiters.removeAll { $0.name == name }
      return hit.map(\.continuation)
    }
    for continuation in continuations { continuation.resume() }
  }

  /// Returns once it happened.
  package func wait(_ name: String) async {
    await withCheckedContinuation { continuation in
      let isSeen = state.withLock { state in
        if !state.seen.contains(name) { state.waiters.append((name, continuation)) }
        return state.seen.contains(name)
      }
      if isSeen { continuation.resume() }
    }
  }

  /// Whether it happened.
  package func has(_ name: String) -> Bool {
    state.withLock { $0.seen.contains(name) }
  }
}
