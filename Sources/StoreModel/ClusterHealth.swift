/// What a placement group holds.
public struct GroupUsage: Sendable, Hashable {
  /// The group.
  public var group: GroupID
  /// Chunks that manifests name in it.
  public var chunks: UInt64
  /// Their bytes, one copy each.
  public var bytes: UInt64

  /// Makes a group's usage.
  public init(group: GroupID, chunks: UInt64, bytes: UInt64) {
    self.group = group
    self.chunks = chunks
    self.bytes = bytes
  }
}

/// How safe the stored bytes are: derived from what nodes report now, group by group.
///
/// Only members that are up count as copies: one that can't be reached may have its copy or not, and
/// unknown is not healthy. Groups without chunks endanger nothing and are left out.
public struct ClusterHealth: Sendable, Hashable {
  /// Groups with fewer members that are up than their class's target.
  public private(set) var groupsBelowTarget: UInt64 = 0
  /// Bytes of the chunks in such groups, one copy each.
  public private(set) var bytesBelowTarget: UInt64 = 0
  /// Chunks with one member that is up.
  public private(set) var chunksAtOneCopy: UInt64 = 0
  /// Chunks with no member that is up.
  public private(set) var chunksUnavailable: UInt64 = 0

  /// Judges every group that holds something.
  ///
  /// - Parameters:
  ///   - group: the group with an id; nil for one that is unknown.
  ///   - usage: what groups hold; one that is unknown counts as having no member up.
  ///   - state: a node's state; nil for one that is unknown.
  public init(
    groups group: (GroupID) -> PlacementGroup?, usage: [GroupUsage],
    state: (NodeID) -> NodeState?
  ) {
    for used in usage where used.chunks > 0 {
      let group = group(used.group)
      let up = group?.members.count { state($0) == .up } ?? 0
      if up < group?.storageClass.targetCopies ?? 1 {
        groupsBelowTarget += 1
        bytesBelowTarget += used.bytes
      }
      if up == 1 { chunksAtOneCopy += used.chunks }
      if up == 0 { chunksUnavailable += used.chunks }
    }
  }
}
