import RPC

/// When to make a failed call again, and when to give up: exponential delays with full jitter below a
/// deadline.
struct RetryState: Sendable {
  /// What to do after a failure.
  enum Decision: Equatable, Sendable {
    case giveUp
    case retry(at: Instant)
  }

  /// After this no new attempt begins.
  let deadline: Instant
  /// The bound of the next delay, in nanoseconds.
  private(set) var delayNanoseconds: UInt64
  private let maxDelayNanoseconds: UInt64

  /// Begins with a first delay below `firstDelay`, doubling up to `maxDelay`.
  init(deadline: Instant, firstDelay: Duration, maxDelay: Duration) {
    self.deadline = deadline
    self.delayNanoseconds = max(1, firstDelay.wholeNanoseconds)
    self.maxDelayNanoseconds = max(1, maxDelay.wholeNanoseconds)
  }

  /// An attempt failed at `now` in a way that another may not; `random` is any 64 random bits.
  ///
  /// The delay lies between half of its bound and its bound, so that many callers spread out and none
  /// asks again at once. It is no shorter than the server's `pushback`, if it gave one; where that is negative
  /// the server wants no other attempt.
  mutating func failed(now: Instant, random: UInt64, pushback: Duration? = nil) -> Decision {
    if let pushback, pushback < .zero { return .giveUp }
    let half = delayNanoseconds / 2
    let delay = half + random % (delayNanoseconds - half + 1)
    delayNanoseconds = min(maxDelayNanoseconds, delayNanoseconds * 2)
    let earliest = Instant(nanoseconds: now.nanoseconds + delay)
    let next = max(earliest, now.advanced(by: pushback ?? .zero))
    return next > deadline ? .giveUp : .retry(at: next)
  }
}

extension Duration {
  /// Nanoseconds, 0 for negative durations; longest 584 years.
  var wholeNanoseconds: UInt64 {
    guard self > .zero else { return 0 }
    let (seconds, attoseconds) = components
    return UInt64(seconds) &* 1_000_000_000 &+ UInt64(attoseconds / 1_000_000_000)
  }
}
