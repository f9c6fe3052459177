import StoreModel

/// Ids in order out of an index that has none: the next so many after a place, found in one pass over
/// the index, from which pages are then served.
///
/// A pass costs as much as there are chunks, but serves `capacity` of them, so that listing ten
/// million takes some twenty passes and 16 MiB, and no order has to be kept at any other time. It serves
/// for a minute, and on while nothing is committed: nobody is shown an older state than that, and whoever
/// goes from page to page slowly makes one pass a minute.
struct ChunkListing: Sendable {
  /// Ids that a pass keeps.
  static let capacity = 1 << 19
  /// How long a pass serves while there are commits, in nanoseconds.
  private static let maxAge: UInt64 = 60_000_000_000

  /// Where it begins: after this one; nil: at the first.
  let start: ChunkID?
  private let capacity: Int
  /// When the pass was made.
  private let madeAt: UInt64
  /// The number of the last commit that had ended before it.
  private let commit: UInt64
  /// In order once `finish` was called.
  private var ids: [ChunkID] = []
  /// Ids from here on were dropped; nil while none were.
  private(set) var end: ChunkID?

  /// Begins a pass.
  init(
    after start: ChunkID?, at nanoseconds: UInt64 = 0, commit: UInt64 = 0,
    capacity: Int = ChunkListing.capacity
  ) {
    self.start = start
    self.capacity = capacity
    madeAt = nanoseconds
    self.commit = commit
  }

  /// Takes an id in, in any order.
  mutating func add(_ id: ChunkID) {
    if let start, id <= start { return }
    if let end, id >= end { return }
    ids.append(id)
    if ids.count == 2 * capacity { prune() }
  }

  /// Ends the pass.
  mutating func finish() {
    if ids.count > capacity { prune() } else { ids.sort() }
  }

  /// Whether it may still serve: it isn't old, or shows all there is.
  func isFresh(at nanoseconds: UInt64, commit: UInt64) -> Bool {
    nanoseconds < madeAt + ChunkListing.maxAge || commit == self.commit
  }

  /// Whether a page that begins after this id can be served from here.
  func covers(after id: ChunkID?) -> Bool {
    guard let id else { return false }
    if let start, id < start { return false }
    guard let end else { return true }
    return id < end && ids.last.map { id < $0 } ?? false
  }

  /// At most `limit` ids after this one, and whether there may be more after them.
  func page(after id: ChunkID?, limit: Int) -> (ids: ArraySlice<ChunkID>, isLast: Bool) {
    let first = id.map { firstPlace(after: $0) } ?? 0
    let page = ids[first...].prefix(limit)
    return (page, page.endIndex == ids.count && end == nil)
  }

  /// Keeps the first ones.
  private mutating func prune() {
    ids.sort()
    end = ids[capacity]
    ids.removeSubrange(capacity...)
  }

  /// Where the first id after this one stands.
  private func firstPlace(after id: ChunkID) -> Int {
    var low = 0
    var high = ids.count
    while low < high {
      let middle = (low + high) / 2
      if ids[middle] <= id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
