/// The nodes that a plan may use, with their weights and what a group of them must be like.
struct Candidates {
  /// Usable nodes.
  let nodes: [PlacementNode]
  /// Members of a group.
  let copies: Int
  /// Zones that a group's members must stand in.
  let zones: Int
  /// What a node's chance to be chosen is in proportion to: its free bytes, capped.
  private let weights: [UInt64]
  private let places: [NodeID: Int]
  private let storageClass: StorageClass

  init(_ nodes: [PlacementNode], storageClass: StorageClass, rules: PlacementRules) {
    precondition(!nodes.isEmpty, "there are enough nodes for the class")
    self.nodes = nodes
    self.storageClass = storageClass
    copies = min(storageClass.targetCopies, nodes.count)
    zones = min(copies, Set(nodes.map(\.zone)).count)
    // Mebibytes, so that sums of weights stay far from overflow.
    let free = nodes.map { node in
      node.capacityBytes == 0 ? nil : max(1, node.freeBytes >> 20)
    }
    let sorted = free.compactMap { $0 }.sorted()
    let middle = sorted.isEmpty ? 1 : sorted[(sorted.count - 1) / 2]
    let cap = min(middle, UInt64(1) << 40) * min(rules.weightCap, 1 << 10)
    weights = free.map { min($0 ?? middle, cap) }
    places = Dictionary(
      nodes.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Whether a group may be offered: all its members are usable, it is as large as it can be now and
  /// spread over as many zones.
  func accepts(_ group: PlacementGroup) -> Bool {
    guard group.storageClass == storageClass, group.members.count == copies else { return false }
    var seen: Set<String> = []
    for member in group.members {
      guard let place = places[member] else { return false }
      seen.insert(nodes[place].zone)
    }
    return seen.count == zones
  }

  /// Members of a new group behind `first`: each from a new zone while there is one.
  func members(first: Int, random: () -> UInt64) -> [NodeID] {
    var members = [first]
    var usedZones: Set<String> = [nodes[first].zone]
    while members.count < copies {
      let rest = nodes.indices.filter { !members.contains($0) }
      let elsewhere = rest.filter { !usedZones.contains(nodes[$0].zone) }
      let next = draw(from: elsewhere.isEmpty ? rest : elsewhere, random: random)
      members.append(next)
      usedZones.insert(nodes[next].zone)
    }
    return members.map { nodes[$0].id }
  }

  /// One of some nodes, by weight.
  func draw(from choices: [Int], random: () -> UInt64) -> Int {
    choices[draw(weights: choices.map { weights[$0] }, random: random)]
  }

  /// Groups to offer: by weight, each with another first member while that is possible.
  func choose(_ count: Int, of eligible: [PlacementGroup], random: () -> UInt64) -> [PlacementGroup]
  {
    var rest = eligible
    var chosen: [PlacementGroup] = []
    var firsts: Set<NodeID> = []
    while chosen.count < count, !rest.isEmpty {
      let fresh = rest.indices.filter { !firsts.contains(rest[$0].members[0]) }
      if fresh.isEmpty {
        firsts = []
        continue
      }
      let drawn = draw(weights: fresh.map { weight(of: rest[$0]) }, random: random)
      let group = rest.remove(at: fresh[drawn])
      firsts.insert(group.members[0])
      chosen.append(group)
    }
    return chosen
  }

  /// A group takes no more than its fullest member can.
  private func weight(of group: PlacementGroup) -> UInt64 {
    group.members.compactMap { places[$0].map { weights[$0] } }.min() ?? 1
  }

  private func draw(weights: [UInt64], random: () -> UInt64) -> Int {
    let total = weights.reduce(0, +)
    var ticket = random().multipliedFullWidth(by: total).high
    for (place, weight) in weights.enumerated() {
      if ticket < weight { return place }
      ticket -= weight
    }
    return weights.count - 1
  }
}
