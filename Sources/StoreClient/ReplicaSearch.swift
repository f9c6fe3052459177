import RPC
import StoreModel

/// Which replica of a chunk to read next, and when to give up.
///
/// Each member of the group is tried once a round: the well ones first, beginning with another one for
/// each chunk so that all share the work. After a round the Directory is asked again where the group's
/// members are, as a node that restarted may listen elsewhere.
struct ReplicaSearch: Sendable {
  /// What to do next.
  enum Action: Equatable, Sendable {
    /// Read from this member.
    case read(GroupRoute.Member)
    /// Every member failed: at this moment ask the Directory for the group's members.
    case refresh(at: Instant)
    /// The chunk can't be read.
    case giveUp(StoreError)
  }

  /// How a replica failed.
  enum Failure: Equatable, Sendable {
    /// Its bytes don't match their checksums.
    case damaged
    /// The node hasn't got it.
    case missing
    /// The node is away, slow or refuses.
    case unreachable(String)
  }

  private let chunk: ChunkID
  private var roundsLeft: Int
  private var retry: RetryState
  private var untried: [GroupRoute.Member] = []
  private var failures: [Failure] = []

  /// Searches a replica of `chunk`, in at most `rounds` rounds.
  init(chunk: ChunkID, rounds: Int, retry: RetryState) {
    self.chunk = chunk
    self.roundsLeft = rounds
    self.retry = retry
  }

  /// A round begins with the group's members as the Directory has them.
  mutating func begin(
    members: [GroupRoute.Member], now: Instant, random: UInt64, isShunned: (NodeID) -> Bool
  ) -> Action {
    roundsLeft -= 1
    failures = []
    let rotation = members.isEmpty ? 0 : Int(chunk.index) % members.count
    let rotated = Array(members[rotation...] + members[..<rotation])
    untried = rotated.filter { !isShunned($0.node) } + rotated.filter { isShunned($0.node) }
    return next(now: now, random: random)
  }

  /// The member that was read last failed.
  mutating func failed(_ failure: Failure, now: Instant, random: UInt64) -> Action {
    failures.append(failure)
    return next(now: now, random: random)
  }

  private mutating func next(now: Instant, random: UInt64) -> Action {
    if !untried.isEmpty { return .read(untried.removeFirst()) }
    guard roundsLeft > 0, case .retry(let moment) = retry.failed(now: now, random: random) else {
      return .giveUp(verdict)
    }
    return .refresh(at: moment)
  }

  /// Data is lost when every member answered and none had the chunk whole; else it may come back.
  private var verdict: StoreError {
    var damaged = 0
    var missing = 0
    var reasons: [String] = []
    for failure in failures {
      switch failure {
      case .damaged: damaged += 1
      case .missing: missing += 1
      case .unreachable(let reason): reasons.append(reason)
      }
    }
    guard let reason = reasons.first else {
      return StoreError(
        .dataLoss,
        "chunk \(chunk) can't be read: \(damaged) replicas are damaged, \(missing) are missing")
    }
    return StoreError(
      .unavailable,
      "chunk \(chunk) can't be read now: \(reasons.count) of \(failures.count) nodes can't be "
        + "reached (\(reason)), \(damaged) replicas are damaged, \(missing) are missing")
  }
}
