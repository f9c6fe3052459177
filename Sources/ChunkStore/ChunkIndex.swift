import StoreModel

/// Which chunks there are and where: a cache of the segments, and all that memory holds of a chunk.
///
/// Open addressing with linear probing over flat memory, 28 bytes an entry. The table is cut into parts
/// by the hash, each of which grows by a fifth when four fifths of it are full: 35 to 42 bytes a chunk,
/// and never more than one part's entries are moved at a time.
struct ChunkIndex: Sendable {
  /// What is known of a chunk.
  struct Entry: Sendable, Hashable {
    /// Its record.
    var place: RecordPlace
    /// Bytes of its payload.
    var length: UInt32
    /// A read found bytes of it damaged.
    var isDamaged = false
    /// Whether it outlives a power cut is not known: a deletion of it failed.
    var isDoubtful = false
  }

  /// An entry as it lies in memory; free when `segment` is 0.
  private struct Slot {
    var group: UInt32 = 0
    var index: UInt32 = 0
    var uploadLow: UInt32 = 0
    var uploadHigh: UInt32 = 0
    var segment: UInt32 = 0
    var unit: UInt32 = 0
    /// The length in the lower bits, then the flags.
    var lengthAndFlags: UInt32 = 0

    static let damaged: UInt32 = 1 << 30
    static let doubtful: UInt32 = 1 << 31
    static let length: UInt32 = damaged - 1

    init() {}

    init(_ id: ChunkID, _ entry: Entry) {
      group = id.group
      index = id.index
      uploadLow = UInt32(truncatingIfNeeded: id.upload)
      uploadHigh = UInt32(truncatingIfNeeded: id.upload >> 32)
      segment = entry.place.segment
      unit = entry.place.unit
      lengthAndFlags =
        entry.length | (entry.isDamaged ? Slot.damaged : 0)
        | (entry.isDoubtful ? Slot.doubtful : 0)
    }

    var upload: UInt64 { UInt64(uploadHigh) << 32 | UInt64(uploadLow) }
    var id: ChunkID { ChunkID(group: group, upload: upload, index: index) }
    var entry: Entry {
      Entry(
        place: RecordPlace(segment: segment, unit: unit), length: lengthAndFlags & Slot.length,
        isDamaged: lengthAndFlags & Slot.damaged != 0,
        isDoubtful: lengthAndFlags & Slot.doubtful != 0)
    }

    func holds(_ id: ChunkID) -> Bool {
      segment != 0 && index == id.index && group == id.group && upload == id.upload
    }
  }

  /// A part of the table.
  private struct Part {
    var slots: ContiguousArray<Slot> = []
    var count = 0

    /// Where a hash's search begins.
    func home(_ hash: UInt64) -> Int {
      Int((UInt64(UInt32(truncatingIfNeeded: hash)) * UInt64(slots.count)) >> 32)
    }
  }

  /// How many parts there are, as a power of two.
  static let partBits = 8
  private static let minSlots = 8

  private var parts: [Part]
  private let hashSeed: UInt64
  /// How many chunks there are, damaged ones included.
  private(set) var count = 0
  /// Bytes of their payloads.
  private(set) var bytes: UInt64 = 0

  /// An empty index.
  ///
  /// - Parameter hashSeed: something that those who choose ids don't know.
  init(hashSeed: UInt64) {
    self.hashSeed = hashSeed
    parts = Array(repeating: Part(), count: 1 << ChunkIndex.partBits)
  }

  /// How many parts there are: what `ids(inPart:)` counts to.
  var partCount: Int {
    parts.count
  }

  /// What is known of a chunk; nil when it isn't here.
  subscript(id: ChunkID) -> Entry? {
    let hash = hash(id)
    let part = part(of: hash)
    return find(id, hash, in: part).map { parts[part].slots[$0].entry }
  }

  /// Sets what is known of a chunk.
  ///
  /// - Returns: what was known before.
  @discardableResult
  mutating func set(_ id: ChunkID, _ entry: Entry) -> Entry? {
    let hash = hash(id)
    let part = part(of: hash)
    bytes += UInt64(entry.length)
    if let place = find(id, hash, in: part) {
      let old = parts[part].slots[place].entry
      bytes -= UInt64(old.length)
      parts[part].slots[place] = Slot(id, entry)
      return old
    }
    grow(part)
    place(Slot(id, entry), hash, in: part)
    parts[part].count += 1
    count += 1
    return nil
  }

  /// Makes room for so many chunks in all, so that none is moved while they come. Only for an empty index.
  mutating func reserve(_ chunks: Int) {
    precondition(count == 0, "chunks are here already")
    // Hashes spread over the parts evenly but for some per cent.
    let slots = (chunks * 5 / 4 * 21 / 20) / parts.count + ChunkIndex.minSlots
    for part in parts.indices {
      parts[part].slots = ContiguousArray(repeating: Slot(), count: slots)
    }
  }

  /// Forgets a chunk, if it is known.
  mutating func remove(_ id: ChunkID) {
    let hash = hash(id)
    let part = part(of: hash)
    guard var hole = find(id, hash, in: part) else { return }
    bytes -= UInt64(parts[part].slots[hole].entry.length)
    count -= 1
    parts[part].count -= 1
    // Moves back what would not be found across the hole.
    let size = parts[part].slots.count
    var next = hole
    while true {
      next = next + 1 == size ? 0 : next + 1
      let slot = parts[part].slots[next]
      guard slot.segment != 0 else { break }
      let home = parts[part].home(self.hash(slot.id))
      let isBetween = hole <= next ? (hole < home && home <= next) : (hole < home || home <= next)
      guard !isBetween else { continue }
      parts[part].slots[hole] = slot
      hole = next
    }
    parts[part].slots[hole] = Slot()
  }

  /// Calls `body` with every chunk of a part, in no order.
  func forEach(inPart part: Int, _ body: (ChunkID, Entry) -> Void) {
    for slot in parts[part].slots where slot.segment != 0 { body(slot.id, slot.entry) }
  }

  /// Bytes of memory that the table takes.
  var memoryBytes: Int {
    parts.reduce(0) { $0 + $1.slots.capacity * MemoryLayout<Slot>.stride }
  }

  /// Checks that every entry is found where it is and that the counts fit.
  func checkInvariants() {
    var found = 0
    var sum: UInt64 = 0
    for part in parts.indices {
      var inPart = 0
      forEach(inPart: part) { id, entry in
        precondition(self[id] == entry, "chunk \(id) is not found where it is")
        inPart += 1
        sum += UInt64(entry.length)
      }
      precondition(inPart == parts[part].count, "part \(part) miscounts")
      found += inPart
    }
    precondition(found == count && sum == bytes, "the index miscounts")
  }

  /// The slot of a chunk.
  private func find(_ id: ChunkID, _ hash: UInt64, in part: Int) -> Int? {
    let size = parts[part].slots.count
    guard size > 0 else { return nil }
    var place = parts[part].home(hash)
    while true {
      let slot = parts[part].slots[place]
      if slot.segment == 0 { return nil }
      if slot.holds(id) { return place }
      place = place + 1 == size ? 0 : place + 1
    }
  }

  /// Puts an entry that isn't there yet into the first free slot from its home on.
  private mutating func place(_ slot: Slot, _ hash: UInt64, in part: Int) {
    let size = parts[part].slots.count
    var place = parts[part].home(hash)
    while parts[part].slots[place].segment != 0 { place = place + 1 == size ? 0 : place + 1 }
    parts[part].slots[place] = slot
  }

  /// Makes room for one more.
  private mutating func grow(_ part: Int) {
    let size = parts[part].slots.count
    guard (parts[part].count + 1) * 5 > size * 4 else { return }
    let old = parts[part].slots
    let larger = max(ChunkIndex.minSlots, size * 6 / 5 + 1)
    parts[part].slots = ContiguousArray(repeating: Slot(), count: larger)
    for slot in old where slot.segment != 0 { place(slot, hash(slot.id), in: part) }
  }

  /// The part that a hash belongs to.
  private func part(of hash: UInt64) -> Int {
    Int(hash >> (64 - UInt64(ChunkIndex.partBits)))
  }

  /// Mixes an id with the seed (the finalizer of SplitMix64, for each half).
  private func hash(_ id: ChunkID) -> UInt64 {
    let place = UInt64(id.group) << 32 | UInt64(id.index)
    return ChunkIndex.mix(ChunkIndex.mix(id.upload ^ hashSeed) ^ place)
  }

  /// Spreads every bit of a number over all of the result's.
  static func mix(_ value: UInt64) -> UInt64 {
    var bits = value &+ 0x9E37_79B9_7F4A_7C15
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return bits ^ (bits >> 31)
  }
}
