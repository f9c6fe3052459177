/// How often a disk's writes failed lately: three times within an hour make it a failing one.
///
/// A disk that fails every write is found out by the third; one that fails now and then, over months,
/// never is. A failing disk that was left alone for an hour is tried again, and costs three more
/// errors at most.
struct WriteFailures: Sendable, Hashable {
  /// Failures that make a disk a failing one.
  private static let most = 3
  /// The time within which they count, in nanoseconds.
  private static let window: UInt64 = 3_600_000_000_000

  /// When the last ones were, oldest first; no more than `most`.
  private var times: [UInt64] = []

  /// Notes a failure.
  mutating func note(at nanoseconds: UInt64) {
    if times.count == WriteFailures.most { times.removeFirst() }
    times.append(nanoseconds)
  }

  /// Whether the disk is a failing one.
  func areMany(at nanoseconds: UInt64) -> Bool {
    guard let oldest = times.first, times.count == WriteFailures.most else { return false }
    return nanoseconds < oldest + WriteFailures.window
  }
}
