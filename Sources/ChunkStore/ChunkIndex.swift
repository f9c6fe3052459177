import StoreModel

/// Which chunks there are: a cache of what the files say.
///
/// Names stay on disk. Ids are kept sorted for listing; new ones wait in `recent` until somebody lists.
struct ChunkIndex: Sendable {
  /// What is known of a chunk.
  enum Entry: Sendable, Hashable {
    /// Its file is in place, in the directory's `generation`, with so many bytes of payload.
    case stored(length: UInt32, generation: Int)
    /// It was here, but its file is damaged.
    case damaged
  }

  /// By id.
  private var entries: [ChunkID: Entry] = [:]
  /// Ids in order; may hold some that are gone, or twice.
  private var sorted: [ChunkID] = []
  /// Ids that came since `sorted` was made.
  private var recent: [ChunkID] = []
  /// How many chunks are stored and not damaged.
  private(set) var count = 0
  /// Bytes of their payloads.
  private(set) var bytes: UInt64 = 0

  /// What is known of a chunk; nil when it isn't here.
  subscript(id: ChunkID) -> Entry? {
    entries[id]
  }

  /// Sets what is known of a chunk.
  mutating func set(_ id: ChunkID, _ entry: Entry) {
    let old = entries.updateValue(entry, forKey: id)
    if old == nil { recent.append(id) }
    uncount(old)
    if case .stored(let length, _) = entry {
      count += 1
      bytes += UInt64(length)
    }
  }

  /// Forgets a chunk.
  mutating func remove(_ id: ChunkID) {
    uncount(entries.removeValue(forKey: id))
  }

  /// The ids of at most `limit` stored chunks after `id`, in order.
  mutating func ids(after id: ChunkID?, limit: Int) -> [ChunkID] {
    sortRecent()
    var result: [ChunkID] = []
    var place = id.map { firstPlace(after: $0) } ?? 0
    while place < sorted.count, result.count < limit {
      let candidate = sorted[place]
      if case .stored = entries[candidate], result.last != candidate { result.append(candidate) }
      place += 1
    }
    return result
  }

  /// Merges the recent ids into the sorted ones and drops those that are gone.
  private mutating func sortRecent() {
    guard !recent.isEmpty else { return }
    let added = recent.sorted()
    recent = []
    var merged: [ChunkID] = []
    merged.reserveCapacity(entries.count)
    var new = added[...]
    for id in sorted where entries[id] != nil && merged.last != id {
      while let next = new.first, next < id { merged.append(new.removeFirst()) }
      merged.append(id)
    }
    sorted = merged + new
  }

  /// Where in `sorted` the first id after this one stands.
  private func firstPlace(after id: ChunkID) -> Int {
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] <= id { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Takes an entry out of the counts.
  private mutating func uncount(_ entry: Entry?) {
    guard case .stored(let length, _) = entry else { return }
    count -= 1
    bytes -= UInt64(length)
  }
}
