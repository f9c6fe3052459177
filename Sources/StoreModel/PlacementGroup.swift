/// An ordered set of nodes that hold the same chunks.
///
/// The first member takes a chunk from the writer and passes it on. The epoch rises with every change
/// of members; a node refuses a chunk for an epoch older than the one it knows.
public struct PlacementGroup: Sendable, Hashable {
  /// The group's number.
  public var id: GroupID
  /// Rises at each change of members; from 1.
  public var epoch: UInt64
  /// The redundancy it serves.
  public var storageClass: StorageClass
  /// Its nodes, the first being the one that writers talk to.
  public var members: [NodeID]

  /// Makes a group.
  public init(id: GroupID, epoch: UInt64, storageClass: StorageClass, members: [NodeID]) {
    self.id = id
    self.epoch = epoch
    self.storageClass = storageClass
    self.members = members
  }
}
