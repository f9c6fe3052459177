#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// The machine's clocks: the one place that reads them and sleeps by them.
public struct SystemTimeSource: TimeSource {
  /// The machine's clocks.
  public init() {}

  /// Nanoseconds of the monotonic clock.
  public var now: Instant {
    var value = timespec()
    clock_gettime(CLOCK_MONOTONIC, &value)
    return Instant(nanoseconds: UInt64(value.tv_sec) * 1_000_000_000 + UInt64(value.tv_nsec))
  }

  /// Microseconds since 1970.
  public var wallClockMicroseconds: Int64 {
    var value = timespec()
    clock_gettime(CLOCK_REALTIME, &value)
    return Int64(value.tv_sec) * 1_000_000 + Int64(value.tv_nsec) / 1_000
  }

  /// Returns at `deadline`, or throws `CancellationError` when the task is cancelled.
  public func sleep(until deadline: Instant) async throws {
    let left = now.duration(to: deadline)
    guard left > .zero else {
      try Task.checkCancellation()
      return
    }
    try await ContinuousClock().sleep(for: left)
  }
}
