/// What one side may still be sent: the receiver's book of one call or of a connection.
///
/// Everything is counted from the beginning and never falls, except what is held.
///
/// The window grows while it is what holds the sender up: when the application takes half of it in less than
/// two round trips, a sender that waits for credit would leave the line empty.
struct IncomingCredit: Sendable, Hashable {
  /// How much may be under way beside what is held.
  private(set) var window: UInt64
  /// Cost of all frames that came in.
  private(set) var received: UInt64 = 0
  /// Cost of whole messages that the application hasn't taken.
  private(set) var held: UInt64 = 0
  /// The limit that the sender has been told.
  private(set) var limit: UInt64
  /// When the sender was told one.
  private var told: Instant?

  init(window: UInt64) {
    self.window = window
    limit = window
  }

  /// Books a frame; false when it exceeds the limit.
  mutating func receive(_ cost: UInt64) -> Bool {
    let (sum, overflow) = received.addingReportingOverflow(cost)
    guard !overflow, sum <= limit else { return false }
    received = sum
    return true
  }

  /// A message is whole and waits for the application.
  mutating func hold(_ cost: UInt64) {
    held += cost
    assert(held <= received, "what is held was received")
  }

  /// Has the window be that large at least. The sender is told when that is worth a frame.
  mutating func widen(to least: UInt64) {
    window = max(window, least)
  }

  /// The application took a message, or it was dropped.
  mutating func release(_ cost: UInt64) {
    precondition(cost <= held, "what is released was held")
    held -= cost
  }

  /// The limit to tell the sender now; nil while it isn't worth a frame.
  var due: UInt64? {
    let limitDue = received - held + window
    return limitDue > limit && limitDue - limit >= window / 2 ? limitDue : nil
  }

  /// The limit to tell the sender, which counts as told; nil while it isn't worth a frame. The window may
  /// have grown, to `largest` at most.
  mutating func grant(now: Instant, roundTrip: Duration?, largest: UInt64) -> UInt64? {
    guard due != nil else { return nil }
    if let told, let roundTrip, told.duration(to: now) < roundTrip * 2 {
      window = max(min(window * 2, largest), window)
    }
    told = now
    limit = received - held + window
    return limit
  }
}

/// What this side may still send: the sender's book of one call or of a connection.
struct OutgoingCredit: Sendable, Hashable {
  /// Cost of all frames sent.
  private(set) var sent: UInt64 = 0
  /// The most that `sent` may reach.
  private(set) var limit: UInt64

  init(limit: UInt64) {
    self.limit = limit
  }

  /// What may be sent now.
  var available: UInt64 { limit - sent }

  /// Books a frame that goes out.
  mutating func send(_ cost: UInt64) {
    precondition(cost <= available, "no more is sent than there is credit for")
    sent += cost
  }

  /// The receiver told a limit; true when it is a higher one.
  mutating func raise(to limit: UInt64) -> Bool {
    guard limit > self.limit else { return false }
    self.limit = limit
    return true
  }
}
