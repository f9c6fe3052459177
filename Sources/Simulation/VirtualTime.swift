package import RPC
internal import Synchronization

/// A simulation's clock: it stands still while anything can run and then leaps to the next moment
/// for which somebody waits.
package final class VirtualTime: TimeSource {
  private struct Timer {
    var deadline: Instant
    var id: UInt64
    var continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var now = Instant(nanoseconds: 0)
    var nextID: UInt64 = 0
    /// In the order in which they ring; the later asked for stands behind others of its moment.
    var timers: [Timer] = []
    /// Sleeps that were cancelled before they had a timer.
    var cancelled: Set<UInt64> = []
  }

  /// The wall clock's reading at virtual time 0: the first second of 2026.
  package static let epochMicroseconds: Int64 = 1_767_225_600_000_000

  private let state = Mutex(State())

  /// A clock that stands at 0.
  package init() {}

  /// Now: nanoseconds since the simulation began.
  package var now: Instant {
    state.withLock(\.now)
  }

  /// A wall clock that runs along with virtual time.
  package var wallClockMicroseconds: Int64 {
    VirtualTime.epochMicroseconds + Int64(now.nanoseconds / 1_000)
  }

  /// The moment of the next timer; nil when nobody waits.
  package var nextDeadline: Instant? {
    state.withLock { $0.timers.first?.deadline }
  }

  /// How many sleeps wait.
  package var waiting: Int {
    state.withLock { $0.timers.count }
  }

  /// Returns when virtual time has reached `deadline`, or throws `CancellationError` at once when the
  /// task is cancelled.
  package func sleep(until deadline: Instant) async throws {
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    defer { state.withLock { _ = $0.cancelled.remove(id) } }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        start(Timer(deadline: deadline, id: id, continuation: continuation))
      }
    } onCancel: {
      cancel(id)
    }
  }

  /// Leaps to the next timer's moment and rings every timer of that moment, in the order in which
  /// they were asked for.
  ///
  /// - Returns: false when nobody waits.
  package func advance() -> Bool {
    let ringing = state.withLock { state -> [Timer] in
      guard let first = state.timers.first else { return [] }
      state.now = first.deadline
      let end = state.timers.firstIndex { $0.deadline > first.deadline } ?? state.timers.count
      let ringing = Array(state.timers[..<end])
      state.timers.removeFirst(end)
      return ringing
    }
    for timer in ringing { timer.continuation.resume() }
    return !ringing.isEmpty
  }

  /// What becomes of a sleep that begins.
  private enum Start {
    case wait
    case elapsed
    case cancelled
  }

  private func start(_ timer: Timer) {
    let start = state.withLock { state -> Start in
      if state.cancelled.contains(timer.id) { return .cancelled }
      if timer.deadline <= state.now { return .elapsed }
      let place = state.timers.firstIndex { $0.deadline > timer.deadline } ?? state.timers.count
      state.timers.insert(timer, at: place)
      return .wait
    }
    switch start {
    case .wait: break
    case .elapsed: timer.continuation.resume()
    case .cancelled: timer.continuation.resume(throwing: CancellationError())
    }
  }

  private func cancel(_ id: UInt64) {
    let timer = state.withLock { state -> Timer? in
      guard let place = state.timers.firstIndex(where: { $0.id == id }) else {
        state.cancelled.insert(id)
        return nil
      }
      return state.timers.remove(at: place)
    }
    timer?.continuation.resume(throwing: CancellationError())
  }
}
