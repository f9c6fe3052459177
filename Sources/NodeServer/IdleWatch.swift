import RPC
import Synchronization

/// Ends work that waits for somebody else too long.
///
/// It is off at first; the work turns it on with `start` while it waits for the one who is watched, and
/// off with `pause` while it does something itself.
final class IdleWatch: Sendable {
  private let time: any TimeSource
  private let limit: Duration
  /// When the present wait is too long; nil while nothing is waited for.
  private let deadline = Mutex<Instant?>(nil)

  private init(time: any TimeSource, limit: Duration) {
    self.time = time
    self.limit = limit
  }

  /// From now on, the time counts.
  func start() {
    let end = time.now.advanced(by: limit)
    deadline.withLock { $0 = end }
  }

  /// The time doesn't count until `start`.
  func pause() {
    deadline.withLock { $0 = nil }
  }

  /// Does the work, and cancels it when a wait in it lasts longer than the limit.
  ///
  /// - Parameters:
  ///   - limit: the longest wait.
  ///   - time: the clock.
  ///   - error: what to throw then.
  ///   - work: turns the watch on and off.
  /// - Returns: what the work returns.
  /// - Throws: `error`, or what the work throws.
  static func run<Result: Sendable>(
    limit: Duration, time: any TimeSource, error: @autoclosure @Sendable () -> RPCError,
    _ work: @escaping @Sendable (IdleWatch) async throws -> Result
  ) async throws -> Result {
    let watch = IdleWatch(time: time, limit: limit)
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
    var next = time.now.advanced(by: limit)
    while true {
      try await time.sleep(until: next)
      let now = time.now
      let end = deadline.withLock { $0 }
      if let end, end <= now { return }
      next = end ?? now.advanced(by: limit)
    }
  }
}
