public import StoreModel

/// A node as the Directory sees it.
public struct NodeSummary: Sendable, Hashable {
  /// Number, address and zone.
  public var record: NodeRecord
  /// Whether it may be given work; nil when the Directory doesn't know.
  public var state: NodeState?
  /// What it last said of itself.
  public var statistics: NodeStatistics
  /// When its last heartbeat came, in microseconds since 1970.
  public var lastHeartbeatMicroseconds: Int64

  /// Makes a summary.
  public init(
    record: NodeRecord, state: NodeState?, statistics: NodeStatistics,
    lastHeartbeatMicroseconds: Int64
  ) {
    self.record = record
    self.state = state
    self.statistics = statistics
    self.lastHeartbeatMicroseconds = lastHeartbeatMicroseconds
  }
}

/// The cluster in a few figures.
public struct ClusterStatus: Sendable, Hashable {
  /// The cluster's own name, drawn when the Directory's data directory was made.
  public var cluster = ""
  /// Names in the store.
  public var entries: UInt64 = 0
  /// Bytes of all files, one copy each.
  public var bytes: UInt64 = 0
  /// Nodes whose heartbeats come.
  public var nodesUp = 0
  /// Nodes that are silent for a moment.
  public var nodesSuspect = 0
  /// Nodes that are silent for so long that their chunks need other places.
  public var nodesDead = 0
  /// Placement groups.
  public var groups = 0
  /// Groups with fewer members that are up than their class's target.
  public var groupsBelowTarget = 0
  /// Bytes of the chunks in such groups, one copy each.
  public var bytesBelowTarget: UInt64 = 0
  /// Chunks that at present can be read from one node only, or none.
  public var chunksAtOneCopy: UInt64 = 0
  /// Chunks that at present can be read from no node.
  public var chunksUnavailable: UInt64 = 0

  /// All zero.
  public init() {}
}

/// One line of a listing.
public enum ListedItem: Sendable, Hashable {
  /// A file.
  case entry(Entry)
  /// What several keys begin with, up to and with the delimiter.
  case prefix(String)
}
