public import StoreModel

// Nodes and placement groups. The schema's twins carry addresses and states beside the model's values,
// so that a reader needs nothing else.

extension WireNodeDescription {
  /// A node as a message; `lastHeartbeatMicroseconds` since 1970.
  public init(
    _ record: NodeRecord, state: NodeState, statistics: NodeStatistics,
    lastHeartbeatMicroseconds: Int64
  ) {
    self.init(
      id: record.id.value, address: record.address, zone: record.zone, state: WireNodeState(state),
      statistics: WireNodeStatistics(statistics), lastHeartbeatUs: lastHeartbeatMicroseconds)
  }
}

extension NodeRecord {
  /// Checks a node that came in a message.
  ///
  /// - Throws: `StoreError.invalidArgument` when it is missing or has no number.
  public init(_ wire: WireNodeDescription?) throws(StoreError) {
    guard let wire, wire.id != 0 else {
      throw StoreError(.invalidArgument, "the node is missing or has no number")
    }
    self.init(id: NodeID(wire.id), address: wire.address, zone: wire.zone)
  }
}

extension WirePlacementGroup {
  /// A group as a message; `address` gives a member's address, empty where it isn't known.
  public init(_ group: PlacementGroup, address: (NodeID) -> String) {
    self.init(
      id: group.id, epoch: group.epoch, storageClass: group.storageClass.rawValue,
      members: group.members.map { node in
        WireGroupMember(node: node.value, address: address(node))
      })
  }
}

extension PlacementGroup {
  /// Checks a group that came in a message; its members' addresses are left behind.
  ///
  /// - Throws: `StoreError.invalidArgument` when it is missing, has no number, epoch or members, or
  ///   has a member twice.
  public init(_ wire: WirePlacementGroup?) throws(StoreError) {
    guard let wire, wire.id != 0, wire.epoch != 0, !wire.members.isEmpty else {
      throw StoreError(.invalidArgument, "the placement group is missing or incomplete")
    }
    let members = wire.members.map { NodeID($0.node) }
    guard !members.contains(NodeID(0)), Set(members).count == members.count else {
      throw StoreError(
        .invalidArgument, "placement group \(wire.id) has a member twice, or one without a number")
    }
    self.init(
      id: wire.id, epoch: wire.epoch, storageClass: try StorageClass(named: wire.storageClass),
      members: members)
  }
}
