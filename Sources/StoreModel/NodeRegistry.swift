/// How long a node may be silent.
public struct LivenessLimits: Sendable, Hashable {
  /// Silence after which a node gets no new chunks, in microseconds.
  public var suspectAfterMicroseconds: Int64
  /// Silence after which a node's groups need new members, in microseconds.
  public var deadAfterMicroseconds: Int64
  /// The same for a node that stopped cleanly and means to come back.
  public var graceMicroseconds: Int64

  /// 10 s, 60 s and 30 min without arguments.
  public init(
    suspectAfterMicroseconds: Int64 = 10_000_000, deadAfterMicroseconds: Int64 = 60_000_000,
    graceMicroseconds: Int64 = 1_800_000_000
  ) {
    precondition(suspectAfterMicroseconds <= deadAfterMicroseconds, "suspect comes before dead")
    self.suspectAfterMicroseconds = suspectAfterMicroseconds
    self.deadAfterMicroseconds = deadAfterMicroseconds
    self.graceMicroseconds = graceMicroseconds
  }
}

/// A node that changed its state.
public struct NodeTransition: Sendable, Hashable {
  /// The node.
  public var node: NodeID
  /// Its state before.
  public var from: NodeState
  /// Its state now.
  public var to: NodeState

  /// Makes a transition.
  public init(node: NodeID, from: NodeState, to: NodeState) {
    self.node = node
    self.from = from
    self.to = to
  }
}

/// Which nodes there are and whether they live: follows from what they say and from their silence.
///
/// A value that decides: each event comes with the time and returns what changed. Times called `now`
/// are microseconds of a clock that never goes back; wall-clock times are kept for people only.
public struct NodeRegistry: Sendable {
  /// What is known of one node.
  public struct Node: Sendable, Hashable {
    /// Who it is.
    public internal(set) var record: NodeRecord
    /// What it said of itself last; nil until it did so since this registry was made.
    public internal(set) var statistics: NodeStatistics?
    /// Whether it may be given work.
    public internal(set) var state: NodeState
    /// When it was last heard, in microseconds since 1970; 0: never.
    public internal(set) var heardWallClockMicroseconds: Int64
    /// When its clean leave was told, in microseconds since 1970; nil when it didn't leave.
    public internal(set) var leftWallClockMicroseconds: Int64?
    /// When it is dead unless it is heard before.
    var deadline: Int64
    /// When it is suspect unless it is heard before; nil when it is so already.
    var suspectDeadline: Int64?
    /// The number of its newest heartbeat stream.
    var session: UInt64
    /// When its newest stream brought a heartbeat; nil when it has none that goes on.
    var lastHeartbeat: Int64?
    /// When its address was last found to be contested.
    var lastContest: Int64?
  }

  /// How often a contested address is told, in microseconds: a minute. Two copies of a node take turns
  /// every few seconds.
  public static let contestMicroseconds: Int64 = 60_000_000

  /// How long nodes may be silent.
  public let limits: LivenessLimits
  /// Every node, by rising id.
  public private(set) var nodes: [Node]
  private var lastSession: UInt64 = 0

  /// A registry that knows nothing.
  public init(limits: LivenessLimits = LivenessLimits()) {
    self.limits = limits
    nodes = []
  }

  /// Takes a node from the Directory's records: suspect until it is heard, dead when it isn't in time.
  ///
  /// - Parameters:
  ///   - record: who it is.
  ///   - heard: when it was last heard, in microseconds since 1970.
  ///   - left: when it left cleanly, in microseconds since 1970; nil when it didn't.
  ///   - now: the monotonic clock's time.
  ///   - wallClock: microseconds since 1970.
  public mutating func restore(
    _ record: NodeRecord, heard: Int64, left: Int64?, now: Int64, wallClock: Int64
  ) {
    var patience = limits.deadAfterMicroseconds
    if let left {
      let graceLeft = limits.graceMicroseconds - max(0, wallClock - left)
      patience = max(patience, min(graceLeft, limits.graceMicroseconds))
    }
    insert(
      Node(
        record: record, statistics: nil, state: .suspect, heardWallClockMicroseconds: heard,
        leftWallClockMicroseconds: left, deadline: now + patience, suspectDeadline: nil, session: 0)
    )
  }

  /// A node said who it is: it is up, with 10 s to begin its heartbeats.
  public mutating func registered(
    _ record: NodeRecord, statistics: NodeStatistics, now: Int64, wallClock: Int64
  ) -> [NodeTransition] {
    guard let place = place(of: record.id) else {
      insert(
        Node(
          record: record, statistics: statistics, state: .up,
          heardWallClockMicroseconds: wallClock, leftWallClockMicroseconds: nil,
          deadline: now + limits.deadAfterMicroseconds,
          suspectDeadline: now + limits.suspectAfterMicroseconds, session: 0))
      return []
    }
    nodes[place].record = record
    return heard(place, statistics: statistics, now: now, wallClock: wallClock)
  }

  /// Whether a node that is about to register comes from another address while it still reports from the
  /// one that is known: then two copies of it run, which take its place from each other.
  ///
  /// - Returns: the address that is known, at most once a minute for a node; nil when nothing is to be told.
  public mutating func contestedAddress(of record: NodeRecord, now: Int64) -> String? {
    guard let place = place(of: record.id), nodes[place].record.address != record.address,
      let heard = nodes[place].lastHeartbeat, now - heard < limits.suspectAfterMicroseconds
    else { return nil }
    if let last = nodes[place].lastContest, now - last < Self.contestMicroseconds { return nil }
    nodes[place].lastContest = now
    return nodes[place].record.address
  }

  /// A node opened a heartbeat stream, which takes the place of its streams before.
  ///
  /// - Returns: the stream's number, for the events that follow.
  /// - Throws: `StoreError.notFound` when the node never registered.
  public mutating func streamOpened(_ id: NodeID) throws(StoreError) -> UInt64 {
    let place = try registeredPlace(of: id)
    lastSession += 1
    nodes[place].session = lastSession
    return lastSession
  }

  /// A heartbeat came on a stream.
  ///
  /// - Throws: `StoreError.notFound` when the node never registered, `aborted` when a newer stream took
  ///   this one's place.
  public mutating func heartbeat(
    _ id: NodeID, session: UInt64, statistics: NodeStatistics, now: Int64, wallClock: Int64
  ) throws(StoreError) -> [NodeTransition] {
    let place = try registeredPlace(of: id)
    guard nodes[place].session == session else {
      throw StoreError(.aborted, "node \(id) has opened a newer heartbeat stream: use that one")
    }
    nodes[place].lastHeartbeat = now
    return heard(place, statistics: statistics, now: now, wallClock: wallClock)
  }

  /// A stream ended without a word: the node is suspect at once, if this was its newest stream.
  public mutating func streamEnded(_ id: NodeID, session: UInt64) -> [NodeTransition] {
    guard let place = place(of: id), nodes[place].session == session else { return [] }
    nodes[place].suspectDeadline = nil
    nodes[place].lastHeartbeat = nil
    guard nodes[place].state == .up else { return [] }
    return change(place, to: .suspect)
  }

  /// A node said that it stops cleanly and means to come back: suspect, and 30 min until it is dead.
  public mutating func left(
    _ id: NodeID, session: UInt64, now: Int64, wallClock: Int64
  ) -> [NodeTransition] {
    guard let place = place(of: id), nodes[place].session == session else { return [] }
    nodes[place].leftWallClockMicroseconds = wallClock
    nodes[place].heardWallClockMicroseconds = wallClock
    nodes[place].suspectDeadline = nil
    nodes[place].lastHeartbeat = nil
    nodes[place].deadline = now + limits.graceMicroseconds
    return change(place, to: .suspect)
  }

  /// Time went by.
  public mutating func tick(now: Int64) -> [NodeTransition] {
    var transitions: [NodeTransition] = []
    for place in nodes.indices {
      if now >= nodes[place].deadline {
        nodes[place].suspectDeadline = nil
        transitions += change(place, to: .dead)
      } else if let deadline = nodes[place].suspectDeadline, now >= deadline {
        nodes[place].suspectDeadline = nil
        transitions += change(place, to: .suspect)
      }
    }
    return transitions
  }

  /// What is known of a node; nil when it never registered.
  public subscript(id: NodeID) -> Node? {
    place(of: id).map { nodes[$0] }
  }

  /// Stops the program when the registry contradicts itself; for tests and simulations.
  public func checkInvariants() {
    for (a, b) in zip(nodes, nodes.dropFirst()) {
      precondition(a.record.id < b.record.id, "nodes stand by rising id, each once")
    }
    for node in nodes {
      precondition(
        (node.state == .up) == (node.suspectDeadline != nil), "who is up has a time to be heard by")
      precondition(node.state != .up || node.leftWallClockMicroseconds == nil, "who left is not up")
      precondition(node.session <= lastSession, "streams are numbered by this registry")
    }
  }

  private mutating func heard(
    _ place: Int, statistics: NodeStatistics, now: Int64, wallClock: Int64
  ) -> [NodeTransition] {
    nodes[place].statistics = statistics
    nodes[place].heardWallClockMicroseconds = wallClock
    nodes[place].leftWallClockMicroseconds = nil
    nodes[place].deadline = now + limits.deadAfterMicroseconds
    nodes[place].suspectDeadline = now + limits.suspectAfterMicroseconds
    return change(place, to: .up)
  }

  private mutating func change(_ place: Int, to state: NodeState) -> [NodeTransition] {
    let before = nodes[place].state
    guard before != state else { return [] }
    nodes[place].state = state
    return [NodeTransition(node: nodes[place].record.id, from: before, to: state)]
  }

  private func registeredPlace(of id: NodeID) throws(StoreError) -> Int {
    guard let place = place(of: id) else {
      throw StoreError(.notFound, "node \(id) is not registered: register it first")
    }
    return place
  }

  private mutating func insert(_ node: Node) {
    nodes.insert(node, at: lowerBound(node.record.id))
  }

  private func place(of id: NodeID) -> Int? {
    let place = lowerBound(id)
    return place < nodes.count && nodes[place].record.id == id ? place : nil
  }

  private func lowerBound(_ id: NodeID) -> Int {
    var low = 0
    var high = nodes.count
    while low < high {
      let middle = (low + high) / 2
      if nodes[middle].record.id < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
