/// A node as placement sees it.
public struct PlacementNode: Sendable, Hashable {
  /// The node.
  public var id: NodeID
  /// The failure zone it stands in; nodes without one share the empty zone.
  public var zone: String
  /// Whether it may be given work.
  public var state: NodeState
  /// Bytes of its file systems; 0 when it did not tell, and then it is taken for empty.
  public var capacityBytes: UInt64
  /// Bytes it could still store.
  public var freeBytes: UInt64

  /// Makes a node.
  public init(
    id: NodeID, zone: String = "", state: NodeState = .up, capacityBytes: UInt64, freeBytes: UInt64
  ) {
    self.id = id
    self.zone = zone
    self.state = state
    self.capacityBytes = capacityBytes
    self.freeBytes = freeBytes
  }
}

/// What placement aims at.
public struct PlacementRules: Sendable, Hashable {
  /// Free bytes below which a node gets no more: this, or a twentieth of its capacity if that is less.
  /// Covers what is on its way to it between two heartbeats.
  public var reserveBytes: UInt64
  /// A node's weight is at most so many times the middle node's: a new, empty node among full ones is
  /// not given everything.
  public var weightCap: UInt64
  /// Groups that each node is the first member of, where there are enough nodes for different ones:
  /// more groups spread a node's chunks, and so its repair, over more others.
  public var groupsPerNode: Int
  /// The most groups that one plan makes; the next plan makes the next.
  public var maxCreatedGroups: Int

  /// 1 GiB, 2, 4 and 256 without arguments.
  public init(
    reserveBytes: UInt64 = 1 << 30, weightCap: UInt64 = 2, groupsPerNode: Int = 4,
    maxCreatedGroups: Int = 256
  ) {
    precondition(weightCap > 0 && groupsPerNode > 0 && maxCreatedGroups > 0, "limits are positive")
    self.reserveBytes = reserveBytes
    self.weightCap = weightCap
    self.groupsPerNode = groupsPerNode
    self.maxCreatedGroups = maxCreatedGroups
  }
}

/// What placement answers.
public struct PlacementPlan: Sendable, Hashable {
  /// Groups to write to, best first; may be fewer than asked for.
  public var offer: [PlacementGroup]
  /// Members of groups to make first: they must be durable before they are offered. When not empty,
  /// plan again once they are made.
  public var create: [[NodeID]]

  /// Makes a plan.
  public init(offer: [PlacementGroup], create: [[NodeID]]) {
    self.offer = offer
    self.create = create
  }
}

/// Where new chunks go: a pure function of a snapshot of nodes and groups.
///
/// Only groups whose members are all up and have room are offered, as large as the nodes that are up
/// allow (the class's target at most, its least number at least), and spread over as many zones as
/// possible. Groups are made until every node is the first member of enough of them.
public struct Placement: Sendable {
  /// The largest answer to one request.
  public static let maxGroups = 16

  private let nodes: [PlacementNode]
  private let groups: [PlacementGroup]
  private let rules: PlacementRules

  /// Takes a snapshot; nodes and groups stand in an order that the caller keeps (by id).
  public init(
    nodes: [PlacementNode], groups: [PlacementGroup], rules: PlacementRules = PlacementRules()
  ) {
    self.nodes = nodes
    self.groups = groups
    self.rules = rules
  }

  /// Chooses up to `count` groups of a class without the nodes in `avoiding`.
  ///
  /// - Parameters:
  ///   - storageClass: the redundancy.
  ///   - count: groups asked for, 1 to 16.
  ///   - avoiding: nodes that the caller could not write to.
  ///   - random: 64 random bits a call.
  /// - Returns: groups to offer, and groups to make before that.
  /// - Throws: `StoreError`: `unavailable` when too few nodes are up, `resourceExhausted` when too few
  ///   of those that are up have room.
  public func plan(
    _ storageClass: StorageClass, count: Int, avoiding: Set<NodeID> = [], random: () -> UInt64
  ) throws(StoreError) -> PlacementPlan {
    precondition(
      (1...Self.maxGroups).contains(count), "1 to \(Self.maxGroups) groups are asked for")
    let usable = try usableNodes(storageClass, avoiding: avoiding)
    let candidates = Candidates(usable, storageClass: storageClass, rules: rules)
    let eligible = groups.filter(candidates.accepts)
    var plan = PlacementPlan(offer: [], create: [])
    if avoiding.isEmpty {
      plan.create = missingGroups(candidates, eligible: eligible, random: random)
    } else if eligible.isEmpty {
      let first = candidates.draw(from: Array(candidates.nodes.indices), random: random)
      plan.create = [candidates.members(first: first, random: random)]
    }
    plan.offer = candidates.choose(count, of: eligible, random: random)
    return plan
  }

  /// Nodes that are up, have room and are not avoided.
  private func usableNodes(
    _ storageClass: StorageClass, avoiding: Set<NodeID>
  ) throws(StoreError) -> [PlacementNode] {
    let up = nodes.filter { $0.state == .up && !avoiding.contains($0.id) }
    let usable = up.filter(hasRoom)
    let least = storageClass.leastCopies
    guard up.count >= least else {
      throw StoreError(
        .unavailable,
        "\(up.count) of \(nodes.count) nodes can be written to; \(storageClass) needs at least "
          + "\(least): start more nodes or wait until they are back")
    }
    guard usable.count >= least else {
      throw StoreError(
        .resourceExhausted,
        "\(up.count - usable.count) of the \(up.count) nodes that are up are full; \(storageClass) "
          + "needs at least \(least) with room: delete files or add nodes")
    }
    return usable
  }

  private func hasRoom(_ node: PlacementNode) -> Bool {
    node.capacityBytes == 0
      || node.freeBytes >= min(rules.reserveBytes, node.capacityBytes / 20)
        && node.freeBytes > 0
  }

  /// New groups, until each node is first in enough of them.
  private func missingGroups(
    _ candidates: Candidates, eligible: [PlacementGroup], random: () -> UInt64
  ) -> [[NodeID]] {
    let choices = candidates.nodes.count - candidates.copies + 1
    let wanted = candidates.copies == 1 ? 1 : min(rules.groupsPerNode, choices)
    var known = Set(eligible.map(\.members))
    var created: [[NodeID]] = []
    for (place, node) in candidates.nodes.enumerated() {
      let have = eligible.count { $0.members[0] == node.id }
      for _ in 0..<max(0, wanted - have) where created.count < rules.maxCreatedGroups {
        var members = candidates.members(first: place, random: random)
        // Another draw where there is such a group already: eight make a repetition unlikely, and one
        // that remains does no harm.
        for _ in 0..<8 where known.contains(members) {
          members = candidates.members(first: place, random: random)
        }
        known.insert(members)
        created.append(members)
      }
    }
    return created
  }
}
