import RPC
import StoreModel

@testable import StoreClient

/// The group with this number and these nodes, each at `node-N:1`.
func route(_ id: GroupID, _ nodes: UInt64...) -> GroupRoute {
  GroupRoute(
    id: id, epoch: 1,
    members: nodes.map { GroupRoute.Member(node: NodeID($0), address: Address("node-\($0):1")) })
}

/// A moment so many nanoseconds after the clock's origin.
func moment(_ nanoseconds: UInt64) -> Instant {
  Instant(nanoseconds: nanoseconds)
}

/// Retries without an end, about 100 ns apart.
func patient() -> RetryState {
  RetryState(deadline: moment(.max), firstDelay: .nanoseconds(100), maxDelay: .nanoseconds(100))
}
