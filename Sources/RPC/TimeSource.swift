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

  /// The moment `duration` later (or earlier, when it is negative); stops at the ends of the clock.
  public func advanced(by duration: Duration) -> Instant {
    let (seconds, attoseconds) = duration.components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return Instant(nanoseconds: seconds < 0 ? 0 : .max) }
    let (delta, overflow2) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
    if overflow2 { return Instant(nanoseconds: seconds < 0 ? 0 : .max) }
    let magnitude = delta.magnitude
    let (sum, overflow3) =
      delta < 0
      ? nanoseconds.subtractingReportingOverflow(magnitude)
      : nanoseconds.addingReportingOverflow(magnitude)
    if overflow3 { return Instant(nanoseconds: delta < 0 ? 0 : .max) }
    return Instant(nanoseconds: sum)
  }

  /// How long from here to `other`; negative when it lies before.
  public func duration(to other: Instant) -> Duration {
    other.nanoseconds >= nanoseconds
      ? .nanoseconds(Int64(clamping: other.nanoseconds - nanoseconds))
      : .nanoseconds(-Int64(clamping: nanoseconds - other.nanoseconds))
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
