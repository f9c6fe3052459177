internal import Synchronization

/// What all connections of a server hold for their peers together, beside what they may.
///
/// Credit bounds each connection alone: a thousand of them could still fill the memory, and so could one
/// peer that makes a thousand.
final class HeldBytes: Sendable {
  private let limit: Int
  private let held = Atomic(0)

  /// A book that may show `limit` bytes.
  init(limit: Int) {
    self.limit = limit
  }

  /// Whether there is too much.
  var isOver: Bool { held.load(ordering: .relaxed) > limit }

  /// Books more or less.
  ///
  /// - Returns: whether there is too much now.
  func change(by bytes: Int) -> Bool {
    held.wrappingAdd(bytes, ordering: .relaxed).newValue > limit
  }
}

/// A connection that holds something.
struct Holder {
  let connection: Connection
  let bytes: Int
  /// Whose it is.
  private let host: Substring

  /// A connection that holds `bytes`.
  init(connection: Connection, bytes: Int) {
    self.connection = connection
    self.bytes = bytes
    host = connection.host
  }

  /// Which of them is to go first.
  static func first(of holders: [Holder]) -> Int? {
    let sums = holders.reduce(into: [Substring: Int]()) { $0[$1.host, default: 0] += $1.bytes }
    return holders.indices.max {
      let (a, b) = (holders[$0], holders[$1])
      return (sums[a.host] ?? 0, a.bytes) < (sums[b.host] ?? 0, b.bytes)
    }
  }
}
