/// The time, as a store sees it: given to it, so that a simulation can give its own.
package protocol ChunkStoreClock: Sendable {
  /// Nanoseconds on a clock that never goes back.
  var nanoseconds: UInt64 { get }
  /// Seconds since 1970; may jump.
  var wallSeconds: Int64 { get }
  /// Returns when `nanoseconds` has reached this, or throws `CancellationError` at once when the task
  /// is cancelled.
  func sleep(until nanoseconds: UInt64) async throws
}
