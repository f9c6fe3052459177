internal import Schema

// When a call is made again: decisions only, from what is handed in.

extension AttemptPolicy {
  /// The longest time that a server may ask to be left alone by a call; one that asks for more ends it.
  static let longestPushback: Duration = .seconds(60)
}

extension RPCError {
  /// How long the server wants to be left alone before the next attempt, by its `google.rpc.RetryInfo`:
  /// negative when it wants none. Nil: it says nothing.
  package var pushback: Duration? {
    guard let info = details(of: Google_Rpc_RetryInfo.self).first else { return nil }
    let delay = info.retryDelay
    return .seconds(delay?.seconds ?? 0) + .nanoseconds(Int64(delay?.nanos ?? 0))
  }
}

extension AttemptPolicy.Retry {
  /// How long to wait before the next attempt, after `count` were made of which the last one failed with
  /// `error`; nil: none is to follow. `random` is below 1.
  func wait(after count: Int, _ error: RPCError, random: Double) -> Duration? {
    guard count < min(maxAttempts, AttemptPolicy.mostAttempts), error.isSafeToRetry else {
      return nil
    }
    if let pushback = error.pushback { return pushback.isObeyed ? pushback : nil }
    return min(firstBackoff * (1 << (count - 1)), longestBackoff) * random
  }
}

extension Duration {
  /// Whether another attempt may follow after this pushback.
  fileprivate var isObeyed: Bool { self >= .zero && self <= AttemptPolicy.longestPushback }
}

/// The attempts of a hedged call.
struct HedgedCall: Sendable, Hashable {
  /// What to do next.
  enum Step: Sendable, Hashable {
    /// Make another attempt, the one after `previous` others.
    case attempt(previous: Int)
    /// Wait for what comes.
    case wait
    /// The call has failed with the error that came last.
    case fail
  }

  private let policy: AttemptPolicy.Hedge
  private var made = 0
  private var running = 0
  /// A server wants no more attempts.
  private var isOver = false
  /// When the next attempt is due if nothing happens; nil: never. Each one has a number of its own.
  private(set) var alarm: Alarm?
  private var alarms = 0

  /// A time to wait from when it was set.
  struct Alarm: Sendable, Hashable {
    var number: Int
    var after: Duration
  }

  init(_ policy: AttemptPolicy.Hedge) {
    self.policy = policy
  }

  private var mayAttempt: Bool {
    !isOver && made < min(policy.maxAttempts, AttemptPolicy.mostAttempts)
  }

  /// The first attempt.
  mutating func begin() -> Step { attempt() }

  /// It is time for the next attempt; `allowed` says whether the throttle permits it.
  mutating func rings(_ number: Int, allowed: Bool) -> Step {
    guard number == alarm?.number else { return .wait }
    return next(allowed: allowed)
  }

  /// An attempt failed, `timeLeft` before the call's deadline; nil: it has none.
  mutating func failed(_ error: RPCError, allowed: Bool, timeLeft: Duration?) -> Step {
    running -= 1
    guard error.isSafeToRetry else { return .fail }
    guard let pushback = error.pushback else { return next(allowed: allowed) }
    guard pushback.isObeyed, mayAttempt, allowed else {
      isOver = true
      return next(allowed: false)
    }
    // With no attempt under way nothing can succeed before the deadline: the caller hears at once.
    if running == 0, let timeLeft, pushback >= timeLeft { return .fail }
    setAlarm(pushback)
    return .wait
  }

  private mutating func next(allowed: Bool) -> Step {
    if mayAttempt && allowed { return attempt() }
    alarm = nil
    return running > 0 ? .wait : .fail
  }

  private mutating func attempt() -> Step {
    made += 1
    running += 1
    alarm = nil
    if mayAttempt { setAlarm(policy.delay) }
    return .attempt(previous: made - 1)
  }

  private mutating func setAlarm(_ after: Duration) {
    alarms += 1
    alarm = Alarm(number: alarms, after: after)
  }
}
