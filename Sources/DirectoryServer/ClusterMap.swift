import StoreModel
import StoreProtocol

/// Nodes and placement groups as the Directory sees them now: what offers and answers are made from.
struct ClusterMap: Sendable {
  /// Every node, with its state.
  var registry: NodeRegistry
  /// Every group, by rising id.
  private(set) var groups: [PlacementGroup] = []
  /// Where a group stands in `groups`.
  private var places: [GroupID: Int] = [:]
  /// Rises with every change of `groups`.
  private(set) var revision: UInt64 = 0

  init(registry: NodeRegistry) {
    self.registry = registry
  }

  /// Takes groups that are on disk; those with the same ids give way.
  mutating func learn(_ learned: [PlacementGroup]) {
    guard !learned.isEmpty else { return }
    for group in learned {
      if let place = places[group.id] { groups[place] = group } else { groups.append(group) }
    }
    groups.sort { $0.id < $1.id }
    places = Dictionary(
      groups.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
    revision += 1
  }

  /// A group; nil when there is none with this id.
  subscript(id: GroupID) -> PlacementGroup? {
    places[id].map { groups[$0] }
  }

  /// What placement decides from.
  var placementNodes: [PlacementNode] {
    registry.nodes.map { node in
      PlacementNode(
        id: node.record.id, zone: node.record.zone, state: node.state,
        capacityBytes: node.statistics?.capacityBytes ?? 0,
        freeBytes: node.statistics?.freeBytes ?? 0)
    }
  }

  /// Groups as messages, with their members' addresses.
  func wire(_ groups: [PlacementGroup]) -> [WirePlacementGroup] {
    groups.map { group in
      WirePlacementGroup(group) { registry[$0]?.record.address ?? "" }
    }
  }

  /// The groups that hold some chunks, by rising id.
  ///
  /// - Throws: `StoreError.internal` when one is unknown.
  func groups(of manifest: Manifest) throws(StoreError) -> [PlacementGroup] {
    var found: [PlacementGroup] = []
    for id in Set(manifest.chunks.map(\.id.group)).sorted() {
      guard let group = self[id] else {
        throw StoreError(.internal, "placement group \(id) is missing in the Directory's records")
      }
      found.append(group)
    }
    return found
  }

  /// The least number of copies that any chunk of a manifest has; the target for an empty file.
  static func copies(_ groups: [PlacementGroup], target: Int) -> UInt32 {
    UInt32(groups.map(\.members.count).min() ?? target)
  }
}
