package import RPC
internal import SeededExecution
internal import Synchronization

/// What happened in a simulation, in order: two runs of one seed must give equal traces.
///
/// Parts of a simulation note here what they do. Each note checks that it is made on the
/// simulation's own thread: code that escaped to another one is the end of determinism.
package final class Trace: Sendable {
  /// One thing that happened.
  package struct Event: Sendable, Hashable, CustomStringConvertible {
    /// When, in virtual time.
    package var time: Instant
    /// Who noted it, such as `node-1` or `network`.
    package var source: String
    /// What happened.
    package var text: String

    /// One line: seconds, source, text.
    package var description: String {
      let microseconds = time.nanoseconds / 1_000
      let fraction = String(microseconds % 1_000_000 + 1_000_000).dropFirst()
      return "\(microseconds / 1_000_000).\(fraction) \(source): \(text)"
    }
  }

  private struct State {
    var events: [Event] = []
    var escapes = 0
  }

  private let time: VirtualTime
  private let owner: ThreadIdentity
  private let state = Mutex(State())

  /// An empty trace of what happens on the calling thread, dated by `time`.
  init(time: VirtualTime) {
    self.time = time
    owner = .current
  }

  /// Everything that was noted, in order.
  package var events: [Event] {
    state.withLock(\.events)
  }

  /// How many events were noted on another thread than the simulation's.
  package var escapes: Int {
    state.withLock(\.escapes)
  }

  /// Notes that something happened now.
  package func note(_ source: String, _ text: String) {
    let event = Event(time: time.now, source: source, text: text)
    let isHome = owner == .current
    state.withLock { state in
      state.events.append(event)
      if !isHome { state.escapes += 1 }
    }
  }
}
