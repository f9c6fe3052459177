import RPC
import StoreModel

/// Which nodes failed this client lately: they are read from last, and not written to.
///
/// The client counts its own errors because it learns of a dead node before the Directory does. A
/// failure is forgotten after the penalty, or with the first success.
struct NodeHealth: Sendable {
  /// How long a failure counts.
  let penalty: Duration
  /// Until when each failed node is shunned.
  private var shunnedUntil: [NodeID: Instant] = [:]

  /// Everyone is well at first.
  init(penalty: Duration) {
    self.penalty = penalty
  }

  /// A call to the node failed at `now`.
  mutating func failed(_ node: NodeID, now: Instant) {
    shunnedUntil = shunnedUntil.filter { $0.value > now }
    shunnedUntil[node] = now.advanced(by: penalty)
  }

  /// A call to the node succeeded.
  mutating func succeeded(_ node: NodeID) {
    shunnedUntil[node] = nil
  }

  /// Whether the node failed lately.
  func isShunned(_ node: NodeID, now: Instant) -> Bool {
    shunnedUntil[node].map { $0 > now } ?? false
  }

  /// The nodes that failed lately, in ascending order.
  func shunned(now: Instant) -> [NodeID] {
    shunnedUntil.filter { $0.value > now }.keys.sorted()
  }
}
