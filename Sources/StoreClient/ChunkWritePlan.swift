import RPC
import StoreModel

/// How one chunk gets onto every node of a group: which group next, and when to give up.
///
/// A chunk counts as stored when all members of one group have it. When one failed, the chunk goes
/// whole to another group, under that group's id; what it left behind is garbage. A node that is full is
/// avoided from then on; one that failed in another way gets another chance. When too few nodes are left
/// that aren't full, nor away for long, waiting makes no room, and the plan gives up at once.
struct ChunkWritePlan: Sendable {
  /// What to do next.
  enum Action: Equatable, Sendable {
    /// Send the chunk to this group.
    case send(GroupRoute)
    /// Ask the Directory for groups without these nodes, at once or not before `at`.
    case askForGroups(avoid: [NodeID], at: Instant?)
    /// Ask the Directory which nodes there are, to know whether those that are not full are enough.
    case askForNodes
    /// The chunk can't be stored.
    case giveUp(StoreError)
  }

  /// How one member of a group failed.
  struct Failure: Equatable, Sendable {
    var node: NodeID
    var code: StatusCode
    var message: String

    /// Whether the node itself is in trouble. Otherwise the group's epoch was out of date.
    var isNodesFault: Bool {
      switch code {
      case .failedPrecondition, .aborted: false
      default: true
      }
    }

    /// Whether the node has no room.
    var isFull: Bool { code == .resourceExhausted }
  }

  private let index: UInt32
  private var attemptsLeft: Int
  private var retry: RetryState
  private let storageClass: StorageClass
  private var full: Set<NodeID> = []
  /// Failed in another way, since the last pause.
  private var troubled: Set<NodeID> = []
  private var lastFailure = "no group was offered"
  private var hasFailed = false

  /// Plans for the chunk at `index`: at most `attempts` sends, none after the retry state's deadline.
  init(index: UInt32, attempts: Int, storageClass: StorageClass, retry: RetryState) {
    self.storageClass = storageClass
    self.index = index
    self.attemptsLeft = attempts
    self.retry = retry
  }

  /// The chunk is to be sent, and these groups are offered.
  mutating func offered(_ groups: [GroupRoute], now: Instant, random: UInt64) -> Action {
    let usable = groups.filter { !$0.members.isEmpty }
    guard !usable.isEmpty else {
      return refused(
        StoreError(.unavailable, "no group was offered"), now: now, random: random)
    }
    guard attemptsLeft > 0 else { return .giveUp(exhausted) }
    attemptsLeft -= 1
    return .send(usable[Int(index) % usable.count])
  }

  /// The chunk was sent, and these members don't have it.
  mutating func failed(_ failures: [Failure], now: Instant, random: UInt64) -> Action {
    precondition(!failures.isEmpty, "a send without failures has succeeded")
    for failure in failures where failure.isNodesFault {
      if failure.isFull {
        full.insert(failure.node)
        troubled.remove(failure.node)
      } else {
        troubled.insert(failure.node)
      }
    }
    if let first = failures.first {
      lastFailure = "node \(first.node) answered \(first.code): \(first.message)"
    }
    guard attemptsLeft > 0 else {
      return .giveUp(failures.allSatisfy(\.isFull) ? noRoom(lastFailure) : exhausted)
    }
    defer { hasFailed = true }
    return hasFailed ? pause(now: now, random: random) : .askForGroups(avoid: avoided, at: nil)
  }

  /// The Directory has no groups without the nodes to avoid: those that aren't full get another chance
  /// after a pause.
  mutating func refused(_ error: StoreError, now: Instant, random: UInt64) -> Action {
    if error.code == .resourceExhausted && troubled.isEmpty {
      return .giveUp(noRoom(error.message))
    }
    lastFailure = error.message
    troubled = []
    return full.isEmpty ? pause(now: now, random: random) : .askForNodes
  }

  /// These nodes are up, or may be again soon; nil: the Directory can't be asked now.
  mutating func found(up: [NodeID]?, now: Instant, random: UInt64) -> Action {
    let least = storageClass.leastCopies
    guard let up, up.count >= least, up.count(where: { !full.contains($0) }) < least else {
      return pause(now: now, random: random)
    }
    let count = up.count(where: full.contains)
    return .giveUp(
      noRoom(
        "\(count) of the \(up.count) nodes that there are now are full; \(storageClass) needs at least "
          + "\(least) with room: delete files or add nodes"))
  }

  /// Asks again after a while, until the deadline.
  private mutating func pause(now: Instant, random: UInt64) -> Action {
    switch retry.failed(now: now, random: random) {
    case .giveUp: .giveUp(exhausted)
    case .retry(let moment): .askForGroups(avoid: avoided, at: moment)
    }
  }

  private var avoided: [NodeID] {
    full.union(troubled).sorted()
  }

  private func noRoom(_ reason: String) -> StoreError {
    StoreError(
      .resourceExhausted, "chunk \(index) could not be stored on enough nodes; \(reason)")
  }

  private var exhausted: StoreError {
    StoreError(
      .unavailable, "chunk \(index) could not be stored on enough nodes; \(lastFailure)")
  }
}
