import StoreModel

/// Moves of chunks off one disk: which are under way, and how far the round is that looks at each chunk once.
struct ChunkMoves: Sendable {
  /// Moves to one disk that are under way at a time: if it hangs, so many wait for it.
  static let mostToOne = 2
  /// Moves that are under way at a time, but for those that wait for a disk that is silent: more would only have the
  /// heads of the failing disk go to and fro.
  static let mostAtOnce = 4
  /// The longest pause after rounds in which nothing could be moved, though there was something.
  private static let longestPause: UInt64 = 600_000_000_000

  /// Chunks that this round looks at next.
  private(set) var ids: ArraySlice<ChunkID> = []
  /// The last one that it was given.
  private(set) var after: ChunkID?
  /// Whether it has looked at all.
  private(set) var isAtEnd = true
  /// How many were moved since it began.
  private(set) var moved = 0
  /// How many could not be.
  private(set) var left = 0
  /// Chunks that are being moved, and where to.
  private var targets: [ChunkID: Int] = [:]

  /// Begins to look at each chunk once more.
  mutating func beginRound() {
    ids = []
    after = nil
    isAtEnd = false
    moved = 0
    left = 0
  }

  /// Has these be looked at; none: there are no more.
  mutating func look(at page: [ChunkID]) {
    ids = page[...]
    after = page.last
    if page.isEmpty { endRound() }
  }

  /// Nothing has to be done for the next one.
  mutating func pass() {
    ids.removeFirst()
  }

  /// The next one can't be moved.
  mutating func leave() {
    ids.removeFirst()
    left += 1
  }

  /// The next one is being moved.
  mutating func begin(_ id: ChunkID, to target: Int) {
    precondition(ids.first == id && targets[id] == nil, "a move that was not due")
    ids.removeFirst()
    targets[id] = target
  }

  /// A move ended.
  mutating func end(_ id: ChunkID, isMoved: Bool) {
    targets[id] = nil
    if isMoved { moved += 1 } else { left += 1 }
  }

  /// There is nothing more to look at.
  mutating func endRound() {
    ids = []
    isAtEnd = true
  }

  /// Whether a chunk is being moved.
  func isUnderWay(_ id: ChunkID) -> Bool { targets[id] != nil }

  /// Whether one more may be moved to a disk, while these are silent.
  func mayBegin(to target: Int, silent: [Int]) -> Bool {
    let others = targets.values.count { !silent.contains($0) }
    return others < ChunkMoves.mostAtOnce
      && targets.values.count { $0 == target } < ChunkMoves.mostToOne
  }

  /// How long to wait after this round, in nanoseconds: twice as long as before where nothing could be moved.
  func pause(after last: UInt64) -> UInt64 {
    moved == 0 && left > 0 ? min(last * 2, ChunkMoves.longestPause) : DiskSet.drainPause
  }
}
