import RPC
import StoreModel

/// How one chunk gets onto every node of a group: which group next, and when to give up.
///
/// A chunk counts as stored when all members of one group have it. When one failed, the chunk goes
/// whole to another group, under that group's id; what it left behind is garbage.
struct ChunkWritePlan: Sendable {
  /// What to do next.
  enum Action: Equatable, Sendable {
    /// Send the chunk to this group.
    case send(GroupRoute)
    /// Ask the Directory for groups without these nodes, at once or not before `at`.
    case askForGroups(avoid: [NodeID], at: Instant?)
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
  }

  private let index: UInt32
  private var attemptsLeft: Int
  private var retry: RetryState
  private var avoided: [NodeID] = []
  private var lastFailure = "no group was offered"
  private var hasFailed = false

  /// Plans for the chunk at `index`: at most `attempts` sends, none after the retry state's deadline.
  init(index: UInt32, attempts: Int, retry: RetryState) {
    self.index = index
    self.attemptsLeft = attempts
    self.retry = retry
  }

  /// The chunk is to be sent, and these groups are offered.
  mutating func offered(_ groups: [GroupRoute], now: Instant, random: UInt64) -> Action {
    let usable = groups.filter { !$0.members.isEmpty }
    guard !usable.isEmpty else { return refused("no group was offered", now: now, random: random) }
    guard attemptsLeft > 0 else { return .giveUp(exhausted) }
    attemptsLeft -= 1
    return .send(usable[Int(index) % usable.count])
  }

  /// The chunk was sent, and these members don't have it.
  mutating func failed(_ failures: [Failure], now: Instant, random: UInt64) -> Action {
    precondition(!failures.isEmpty, "a send without failures has succeeded")
    for failure in failures where failure.isNodesFault && !avoided.contains(failure.node) {
      avoided.append(failure.node)
    }
    if let first = failures.first {
      lastFailure = "node \(first.node) answered \(first.code): \(first.message)"
    }
    guard attemptsLeft > 0 else { return .giveUp(exhausted) }
    defer { hasFailed = true }
    guard hasFailed else { return .askForGroups(avoid: avoided.sorted(), at: nil) }
    switch retry.failed(now: now, random: random) {
    case .giveUp: return .giveUp(exhausted)
    case .retry(let moment): return .askForGroups(avoid: avoided.sorted(), at: moment)
    }
  }

  /// The Directory has no groups without the nodes to avoid: they get another chance after a pause.
  mutating func refused(_ message: String, now: Instant, random: UInt64) -> Action {
    lastFailure = message
    avoided = []
    switch retry.failed(now: now, random: random) {
    case .giveUp: return .giveUp(exhausted)
    case .retry(let moment): return .askForGroups(avoid: [], at: moment)
    }
  }

  private var exhausted: StoreError {
    StoreError(
      .unavailable, "chunk \(index) could not be stored on enough nodes; \(lastFailure)")
  }
}
