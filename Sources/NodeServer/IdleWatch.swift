import RPC
import Synchronization

/// Ends work that waits for somebody else too long.
///
/// It is off at first; the work turns it on with `start` while it waits for the one who is watched, and
/// off with `pause` while it does something itself.
final class IdleWatch: Sendable {
  /// What is held against the one who is watched while others are kept from going on: then a wait within
  /// the limit may be too long as well.
  struct Pressure: Sendable {
    /// How long the one who is watched may keep others waiting before it must have sent something.
    var patience: Duration
    /// At which rate it earns that time anew.
    var bytesPerSecond: Int
    /// Whether others wait now.
    var isOn: @Sendable () -> Bool

    /// How often a wait is looked at.
    fileprivate var tick: Duration { patience / 2 }
  }

  private struct State {
    /// When the present wait began; nil while nothing is waited for.
    var since: Instant?
    /// How long the one who is watched may still be waited for under pressure.
    var credit: Duration
  }

  private let time: any TimeSource
  private let limit: Duration
  private let pressure: Pressure?
  private let state: Mutex<State>

  private init(time: any TimeSource, limit: Duration, pressure: Pressure?) {
    self.time = time
    self.limit = limit
    self.pressure = pressure
    state = Mutex(State(credit: pressure?.patience ?? .zero))
  }

  /// From now on, the time counts.
  func start() {
    let now = time.now
    state.withLock { $0.since = now }
  }

  /// The time doesn't count until `start`.
  ///
  /// - Parameter bytes: how many came out of the wait.
  func pause(received bytes: Int = 0) {
    let now = time.now
    state.withLock { state in
      guard let since = state.since else { return }
      state.since = nil
      guard let pressure else { return }
      let earned = Duration.seconds(bytes) / pressure.bytesPerSecond
      // Time that kept nobody waiting is no debt.
      let left = pressure.isOn() ? state.credit - since.duration(to: now) : pressure.patience
      state.credit = min(left + earned, pressure.patience)
    }
  }

  /// Does the work, and cancels it when a wait in it lasts longer than the limit.
  ///
  /// - Parameters:
  ///   - limit: the longest wait.
  ///   - pressure: what ends a wait sooner; nil: nothing.
  ///   - time: the clock.
  ///   - error: what to throw then.
  ///   - work: turns the watch on and off.
  /// - Returns: what the work returns.
  /// - Throws: `error`, or what the work throws.
  static func run<Result: Sendable>(
    limit: Duration, pressure: Pressure? = nil, time: any TimeSource,
    error: @autoclosure @Sendable () -> RPCError,
    _ work: @escaping @Sendable (IdleWatch) async throws -> Result
  ) async throws -> Result {
    let watch = IdleWatch(time: time, limit: limit, pressure: pressure)
    return try await withThrowingTaskGroup(of: Result?.self) { group in
      group.addTask { try await work(watch) }
      group.addTask {
        try await watch.expire()
        return nil
      }
      defer { group.cancelAll() }
      guard let first = try await group.next(), let result = first else {
        group.cancelAll()
        // The work may have got done in the very moment.
        if let late = try? await group.next(), let result = late { return result }
        throw error()
      }
      return result
    }
  }

  /// Returns when a wait has become too long.
  private func expire() async throws {
    while true {
      let now = time.now
      let state = state.withLock { $0 }
      var next = (state.since ?? now).advanced(by: limit)
      if let since = state.since {
        if next <= now { return }
        if let pressure, since.advanced(by: state.credit) <= now, pressure.isOn() { return }
      }
      if let pressure { next = min(next, now.advanced(by: pressure.tick)) }
      try await time.sleep(until: next)
    }
  }
}
