/// Whether a node may be given work.
public enum NodeState: String, Sendable, Hashable, CaseIterable {
  /// Heartbeats come: it is offered to writers.
  case up
  /// Silent for 10 s, or its connection broke: no new chunks; reads still try it.
  case suspect
  /// Silent for 60 s: its groups need new members.
  case dead
}

/// What a node says of itself with every heartbeat.
public struct NodeStatistics: Sendable, Hashable {
  /// Bytes of its file systems.
  public var capacityBytes: UInt64
  /// Bytes it could still store.
  public var freeBytes: UInt64
  /// Bytes of the chunks it stores.
  public var usedBytes: UInt64
  /// Chunks it stores.
  public var chunks: UInt64

  /// Makes statistics; all zero without arguments.
  public init(
    capacityBytes: UInt64 = 0, freeBytes: UInt64 = 0, usedBytes: UInt64 = 0, chunks: UInt64 = 0
  ) {
    self.capacityBytes = capacityBytes
    self.freeBytes = freeBytes
    self.usedBytes = usedBytes
    self.chunks = chunks
  }
}

/// A node as the Directory has it on record; its state follows from its heartbeats.
public struct NodeRecord: Sendable, Hashable {
  /// The node's own number.
  public var id: NodeID
  /// Where others reach it: `HOST:PORT`.
  public var address: String
  /// The failure zone it stands in; may be empty.
  public var zone: String

  /// Makes a record.
  public init(id: NodeID, address: String, zone: String) {
    self.id = id
    self.address = address
    self.zone = zone
  }
}
