/// Whether a peer takes anything of what waits for it.
///
/// What waits are messages without credit or room, and bytes that the transport took and couldn't hand on.
/// A peer takes of the first by granting credit and of the second by reading. One that does neither for a
/// while keeps memory for nothing.
struct StallWatch: Sendable {
  /// Bytes that the transport holds, as it last said.
  private(set) var unsent = 0
  /// Bytes that have left the transport, as it last said.
  private var left: UInt64 = 0
  /// Since when nothing of what waits was taken, as far as it was looked at; nil: nothing waited.
  private(set) var since: Instant?
  /// What had been taken then: of credit, and of the transport's bytes.
  private var taken: (credit: UInt64, left: UInt64) = (0, 0)

  /// The transport says how it gets on.
  mutating func transport(left: UInt64, unsent: Int) {
    self.left = max(self.left, left)
    if self.unsent > 0 && unsent == 0 { since = nil }
    self.unsent = unsent
  }

  /// No message waits any more.
  mutating func nothingPends() {
    if unsent == 0 { since = nil }
  }

  /// Whether nothing was taken for `timeout`. `hasPending` says whether messages wait for credit or room,
  /// `credit` how much of it was used, ever.
  mutating func isStalled(
    hasPending: Bool, credit: UInt64, now: Instant, timeout: Duration
  ) -> Bool {
    guard hasPending || unsent > 0 else {
      since = nil
      return false
    }
    // While the transport holds nothing, only credit counts: else pings would, which a peer that grants
    // none may well read.
    let isTaking = credit > taken.credit || unsent > 0 && left > taken.left
    guard let since, !isTaking else {
      since = now
      taken = (credit, left)
      return false
    }
    return since.advanced(by: timeout) <= now
  }
}
