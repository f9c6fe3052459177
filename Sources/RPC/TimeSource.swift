/// A moment on a monotonic clock, in nanoseconds since an origin of the clock's own.
public struct Instant: Sendable, Hashable, Comparable {
  /// Nanoseconds since the clock's origin.
  public var nanoseconds: UInt64

  /// Makes a moment.
  public init(nanoseconds: UInt64) {
    self.nanoseconds = nanoseconds
  }

  /// The earlier of two moments is the lesser.
  public static func < (a: Instant, b: Instant) -> Bool {
    a.nanoseconds < b.nanoseconds
  }
}

/// The time, as services see it: given to them, so that a simulation can give its own.
public protocol TimeSource: Sendable {
  /// Now, on a clock that never goes back.
  var now: Instant { get }
  /// Now for people: microseconds since 1970. May jump.
  var wallClockMicroseconds: Int64 { get }
  /// Returns at `deadline`, or throws `CancellationError` at once when the task is cancelled.
  func sleep(until deadline: Instant) async throws
}

/// Randomness, as services see it: given to them, so that a simulation can give its own.
public protocol RandomSource: Sendable {
  /// 64 random bits.
  func next() -> UInt64
}
