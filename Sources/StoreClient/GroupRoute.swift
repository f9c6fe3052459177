import RPC
import StoreModel

/// A placement group with the addresses of its members: where a chunk goes or comes from.
struct GroupRoute: Sendable, Hashable {
  /// One node that holds the group's chunks.
  struct Member: Sendable, Hashable {
    var node: NodeID
    var address: Address
  }

  /// The group's number.
  var id: GroupID
  /// The epoch that the Directory named.
  var epoch: UInt64
  /// The first takes a chunk from the writer and passes it on.
  var members: [Member]
}
