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
