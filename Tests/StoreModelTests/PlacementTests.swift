import StoreModel
import Testing

@Suite("Placement")
struct PlacementTests {
  /// Makes what plans ask for until they ask for nothing more, as a Directory does.
  struct Cluster {
    var nodes: [PlacementNode]
    var groups: [PlacementGroup] = []
    var rules = PlacementRules()
    var bits = SeededBits(7)

    mutating func settle(
      _ storageClass: StorageClass, count: Int = 1, avoiding: Set<NodeID> = []
    ) throws(StoreError) -> PlacementPlan {
      for _ in 0..<100 {
        let placement = Placement(nodes: nodes, groups: groups, rules: rules)
        var drawn = bits
        let box = Box(drawn)
        let plan = try placement.plan(storageClass, count: count, avoiding: avoiding) { box.next() }
        drawn = box.bits
        bits = drawn
        if plan.create.isEmpty { return plan }
        for members in plan.create {
          let id = GroupID(groups.count + 1)
          groups.append(
            PlacementGroup(id: id, epoch: 1, storageClass: storageClass, members: members))
        }
      }
      Issue.record("plans never stop to ask for groups")
      return PlacementPlan(offer: [], create: [])
    }

    subscript(_ id: NodeID) -> PlacementNode? { nodes.first { $0.id == id } }
  }

  final class Box {
    var bits: SeededBits
    init(_ bits: SeededBits) { self.bits = bits }
    func next() -> UInt64 { bits.next() }
  }

  static func node(
    _ id: UInt64, zone: String = "", state: NodeState = .up, free: UInt64 = 100 << 30
  ) -> PlacementNode {
    PlacementNode(
      id: NodeID(id), zone: zone, state: state, capacityBytes: 100 << 30, freeBytes: free)
  }

  /// What every offer must satisfy.
  func check(_ plan: PlacementPlan, _ storageClass: StorageClass, in cluster: Cluster) {
    let usable = cluster.nodes.filter { $0.state == .up && $0.freeBytes >= 1 << 30 }
    let copies = min(storageClass.targetCopies, usable.count)
    let zones = min(copies, Set(usable.map(\.zone)).count)
    #expect(!plan.offer.isEmpty)
    for group in plan.offer {
      #expect(group.storageClass == storageClass)
      #expect(group.members.count == copies)
      #expect(Set(group.members).count == copies)
      let members = group.members.compactMap { cluster[$0] }
      #expect(members.allSatisfy { $0.state == .up && $0.freeBytes >= 1 << 30 })
      #expect(Set(members.map(\.zone)).count == zones)
    }
  }

  @Test(
    "for every mix of states, zones and room: full, spread, live groups or the right refusal",
    arguments: StorageClass.allCases)
  func everySmallCluster(storageClass: StorageClass) {
    let kinds: [(NodeState, String, UInt64)] = [
      (.up, "a", 100 << 30), (.up, "b", 50 << 30), (.up, "a", 1), (.suspect, "a", 100 << 30),
      (.dead, "b", 100 << 30),
    ]
    for count in 0...4 {
      withEvery(kinds, count: count) { chosen in
        let nodes = chosen.enumerated().map { place, kind in
          Self.node(UInt64(place + 1), zone: kind.1, state: kind.0, free: kind.2)
        }
        let up = nodes.count { $0.state == .up }
        let usable = nodes.filter { $0.state == .up && $0.freeBytes > 1 }
        var cluster = Cluster(nodes: nodes)
        do throws(StoreError) {
          let plan = try cluster.settle(storageClass, count: 4)
          #expect(usable.count >= storageClass.leastCopies)
          check(plan, storageClass, in: cluster)
          let firsts = Set(cluster.groups.map { $0.members[0] })
          #expect(firsts == Set(usable.map(\.id)), "every node is the first of some group")
          #expect(plan.offer.count == min(4, cluster.groups.count))
        } catch {
          #expect(usable.count < storageClass.leastCopies)
          #expect(
            error.code == (up < storageClass.leastCopies ? .unavailable : .resourceExhausted))
        }
      }
    }
  }

  @Test("while a node is down groups are smaller; when it is back they are full again")
  func smallerThenFull() throws {
    var cluster = Cluster(nodes: (1...3).map { Self.node($0) })
    #expect(try cluster.settle(.replica3).offer[0].members.count == 3)
    cluster.nodes[1].state = .suspect
    let smaller = try cluster.settle(.replica3, count: 16).offer
    #expect(smaller.allSatisfy { $0.members.count == 2 && !$0.members.contains(NodeID(2)) })
    cluster.nodes[1].state = .up
    let full = try cluster.settle(.replica3, count: 16).offer
    #expect(full.count == 3 && full.allSatisfy { $0.members.count == 3 })
    cluster.nodes[0].state = .dead
    cluster.nodes[1].state = .dead
    #expect(throws: StoreError.self) { try cluster.settle(.replica3) }
  }

  @Test("avoided nodes are in no offered group, and one group is made for that at most")
  func avoiding() throws {
    var cluster = Cluster(nodes: (1...3).map { Self.node($0) })
    _ = try cluster.settle(.replica3)
    let before = cluster.groups.count
    let plan = try cluster.settle(.replica3, avoiding: [NodeID(1)])
    #expect(plan.offer.allSatisfy { !$0.members.contains(NodeID(1)) && $0.members.count == 2 })
    #expect(cluster.groups.count == before + 1)
    _ = try cluster.settle(.replica3, avoiding: [NodeID(1)])
    #expect(cluster.groups.count == before + 1)
    #expect(throws: StoreError.self) {
      try cluster.settle(.replica3, avoiding: [NodeID(1), NodeID(2)])
    }
  }

  @Test("offers for several groups begin at different nodes")
  func differentFirstNodes() throws {
    var cluster = Cluster(nodes: (1...6).map { Self.node($0) })
    for _ in 0..<50 {
      let offer = try cluster.settle(.replica3, count: 6).offer
      #expect(Set(offer.map { $0.members[0] }).count == 6)
    }
  }

  @Test("nodes are used in proportion to their free space, a new one at most twice as much")
  func weights() throws {
    var cluster = Cluster(
      nodes: (1...9).map { Self.node($0, free: 10 << 30) } + [Self.node(10, free: 90 << 30)])
    var taken: [NodeID: Int] = [:]
    for _ in 0..<3_000 {
      for group in try cluster.settle(.replica1).offer { taken[group.members[0], default: 0] += 1 }
    }
    let old = (1...9).map { taken[NodeID($0)] ?? 0 }
    let new = taken[NodeID(10)] ?? 0
    let average = old.reduce(0, +) / 9
    #expect(old.allSatisfy { $0 > average / 2 && $0 < average * 2 })
    #expect(new > average * 3 / 2 && new < average * 5 / 2)
  }

  @Test("with many nodes each has several groups, and their others differ")
  func spread() throws {
    var cluster = Cluster(nodes: (1...40).map { Self.node($0, zone: "z\($0 % 4)") })
    _ = try cluster.settle(.replica3)
    #expect(cluster.groups.count == 160)
    for node in cluster.nodes {
      let others = Set(
        cluster.groups.filter { $0.members.contains(node.id) }.flatMap(\.members))
      #expect(others.count > 6)
    }
  }

  @Test("the same snapshot and randomness give the same plan")
  func deterministic() throws {
    var one = Cluster(nodes: (1...7).map { Self.node($0, zone: "z\($0 % 3)") })
    var other = one
    for _ in 0..<20 {
      #expect(try one.settle(.replica3, count: 3) == other.settle(.replica3, count: 3))
    }
  }

  @Test("absurd figures of a node break nothing")
  func absurdFigures() throws {
    var cluster = Cluster(nodes: [
      PlacementNode(id: NodeID(1), capacityBytes: .max, freeBytes: .max),
      PlacementNode(id: NodeID(2), capacityBytes: 0, freeBytes: 0),
      PlacementNode(id: NodeID(3), capacityBytes: 1, freeBytes: .max),
    ])
    #expect(try cluster.settle(.replica3).offer[0].members.count == 3)
  }
}
