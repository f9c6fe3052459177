/// Reads of one socket, one after another, while its loop does nothing else.
///
/// That is what a loop does when a peer has shut its sending side down: it reads to the end, without a look at
/// others, whatever the system holds for the socket, which may be megabytes. As many small reads as that can be
/// told from reads that have their turn: between those, the loop does what it was asked to.
struct ReadRun: Sendable, Hashable {
  /// What to do after a read.
  enum Step: Sendable, Hashable {
    case goOn
    /// Have the loop call `turned` when it comes to it.
    case mark
    /// The loop reads to the end: enough was read.
    case stop
  }

  /// Reads after which the loop is asked to say when it turns; seldom, as asking costs.
  private static let marked = 16
  /// The most reads in a row: 256 KiB, if they are small.
  static let most = 64

  private var count = 0

  /// A read was done.
  mutating func read() -> Step {
    count += 1
    if count == Self.marked { return .mark }
    return count < Self.most ? .goOn : .stop
  }

  /// The loop has turned to other things.
  mutating func turned() { count = 0 }
}
