import StoreModel

/// The file `deletions`: chunks that were deleted while the disk that has them could not be written to, as
/// another disk of the node keeps it.
///
/// ```
/// holdfast deletions 1
/// fedcba9876543210 7 1234 0 17 64 1767225600
/// checksum 89abcdef
/// ```
///
/// A line names the disk; the chunk's group, upload and index; the segment and the unit of a record that
/// no longer counts; and when the chunk was deleted, in seconds since 1970, or 0 where another disk has it. As a place is never given twice, a
/// line that should have gone does no harm.
struct DeletionList: Sendable, Hashable {
  /// A record that no longer counts.
  struct Entry: Sendable, Hashable {
    /// The number of the disk that it stands on.
    var disk: UInt64
    /// The chunk, where it stands, and when the chunk was deleted, if it was.
    var kill: RecordKill
  }

  /// In the order of their disks, chunks and places.
  let entries: [Entry]

  /// The most entries there may be: each change writes them all.
  static let maxEntries = 1 << 16
  private static let title = "holdfast deletions 1"
  private static let maxBytes = 16 << 20

  /// Lists records.
  init(_ entries: some Sequence<Entry>) {
    self.entries = entries.sorted {
      ($0.disk, $0.kill.id, $0.kill.place) < ($1.disk, $1.kill.id, $1.kill.place)
    }
  }

  /// The file's text.
  var text: String {
    let lines = entries.map { entry in
      let (id, place) = (entry.kill.id, entry.kill.place)
      return "\(NodeID(entry.disk)) \(id.group) \(id.upload) \(id.index) \(place.segment) "
        + "\(place.unit) \(entry.kill.deletedAt)"
    }
    return CheckedText.text(title: DeletionList.title, lines: lines)
  }

  /// Reads the file's text; nil when it is damaged.
  init?(parsing text: String) {
    guard let lines = CheckedText.lines(of: text, title: DeletionList.title) else { return nil }
    var entries: [Entry] = []
    for line in lines {
      let parts = line.split(separator: " ")
      guard
        parts.count == 7, let disk = UInt64(parts[0], radix: 16), let group = UInt32(parts[1]),
        let upload = UInt64(parts[2]), let index = UInt32(parts[3]),
        let segment = UInt32(parts[4]), let unit = UInt32(parts[5]), let time = Int64(parts[6])
      else { return nil }
      let kill = RecordKill(
        id: ChunkID(group: group, upload: upload, index: index),
        place: RecordPlace(segment: segment, unit: unit), deletedAt: time)
      entries.append(Entry(disk: disk, kill: kill))
    }
    self.init(entries)
  }

  /// Reads the file; nil when there is none.
  ///
  /// - Throws: `dataLoss` when it is damaged, `internal` when it can't be read.
  static func read(on disk: any Disk) async throws(StoreError) -> DeletionList? {
    guard
      let text = try await CheckedText.read(StorePaths.deletions, on: disk, maxBytes: maxBytes)
    else { return nil }
    guard let list = DeletionList(parsing: text) else {
      throw StoreError(.dataLoss, "it is damaged")
    }
    return list
  }

  /// Replaces the file; durable when it returns.
  func write(on disk: any Disk) async throws(StoreError) {
    try await CheckedText.write(text, to: StorePaths.deletions, on: disk)
  }
}

/// Deletions that disks keep for others, as memory has them.
struct DeletionsElsewhere: Sendable {
  /// By chunk.
  private(set) var entries: [ChunkID: [DeletionList.Entry]] = [:]
  private(set) var count = 0
  /// Rises with each change.
  private(set) var changes = 0

  /// What is to be written.
  var list: DeletionList {
    DeletionList(entries.values.joined())
  }

  /// Takes entries in, each once.
  mutating func add(_ new: [DeletionList.Entry]) {
    for entry in new where entries[entry.kill.id]?.contains(entry) != true {
      entries[entry.kill.id, default: []].append(entry)
      count += 1
    }
    changes += 1
  }

  /// Forgets entries.
  mutating func remove(_ old: [DeletionList.Entry]) {
    for entry in old {
      guard var left = entries[entry.kill.id], let place = left.firstIndex(of: entry) else {
        continue
      }
      left.remove(at: place)
      entries[entry.kill.id] = left.isEmpty ? nil : left
      count -= 1
    }
    changes += 1
  }
}
