import NIOCore
import StoreModel

/// What reading a segment whole gave: every record, verified.
struct SegmentScan: Sendable {
  /// The chunks, in the places' order.
  private(set) var entries: [SegmentEntry] = []
  /// The places of those whose payload is damaged.
  private(set) var damaged: Set<UInt32> = []
  /// Those of the damaged ones that may have been torn: they count if nothing else of their chunks does.
  private(set) var unsure: Set<UInt32> = []
  /// What they ended, with their places.
  private(set) var unsureKills: [(unit: UInt32, kill: RecordKill)] = []
  /// Records of which no later one says that they were durable before the store was opened: what was
  /// read may stand in the system's memory alone, where a sync failed before.
  private(set) var doubtful: Set<UInt32> = []
  /// What the records ended.
  var kills: [RecordKill] = []
  /// Those of the kills whose records are doubtful.
  private(set) var doubtfulKills: [RecordKill] = []
  /// Where the last record ends.
  private(set) var recordsEnd = SegmentHeader.bytes
  /// About how many bytes the records took.
  private(set) var writtenBytes = 0
  /// What was found wrong, and with which record: with one that no longer counts, nothing is.
  private(set) var problems: [(unit: UInt32?, message: String)] = []
  /// The places of headers that are damaged: what stood there is lost.
  private(set) var lost: [UInt32] = []
  /// Whether a part of it could not be read.
  var isUnreadable = false
  /// Whether it had been sealed: then none of its records is in doubt.
  let isSealed: Bool
  /// The last commit that is known to have been durable, where there are torn records of later ones; else the
  /// highest number.
  private(set) var durableBatch = UInt64.max

  /// Broken headers of which each is told.
  private static let maxBroken = 100

  /// Whether nothing is in it.
  var isEmpty: Bool {
    entries.isEmpty && kills.isEmpty && !isUnreadable
  }

  /// Reads and verifies every record of a segment.
  ///
  /// A record whose payload is damaged was torn before it was acknowledged, unless a later header or the
  /// footer says that its commit was durable, or the segment was sealed and has lost its footer.
  ///
  /// - Parameters:
  ///   - file: the segment.
  ///   - number: its number.
  ///   - key: its key; nil where that isn't known.
  ///   - fileBytes: how long its file is.
  ///   - footer: its footer; nil: it has none.
  ///   - wasSealed: whether it was sealed all the same.
  init(
    of file: any DiskFile, number: UInt32, key: UInt64?, fileBytes: Int,
    footer: SegmentCheckpoint.Footer?, wasSealed: Bool = false
  ) async {
    isSealed = footer != nil || wasSealed
    var scanner = SegmentScanner(
      file: file, number: number, key: key, end: footer.map { Int($0.offset) } ?? fileBytes)
    var bad: [RecordHeader] = []
    var broken: [(place: RecordPlace, batch: UInt64)] = []
    var more = 0
    // Good ones of which nothing says yet that they were durable: few at a time.
    var recent: [(unit: UInt32, batch: UInt64, kill: RecordKill?)] = []
    var durable = footer?.durableBatch ?? 0
    while let finding = await scanner.next() {
      if case .brokenHeader(let place, let batch) = finding {
        if broken.count < SegmentScan.maxBroken { broken.append((place, batch)) } else { more += 1 }
      }
      guard case .record(let header, let badBlocks) = finding else { continue }
      if header.durableBatch > durable {
        durable = header.durableBatch
        recent.removeAll { $0.batch <= durable }
      }
      recordsEnd = header.place.offset + header.recordBytes
      guard badBlocks.isEmpty else {
        bad.append(header)
        continue
      }
      take(header)
      if header.batch > durable, !isSealed {
        recent.append((header.place.unit, header.batch, header.kill))
      }
    }
    if let failure = scanner.failure {
      isUnreadable = true
      problems.append((nil, "a part of it can't be read: \(failure.message)"))
    }
    for record in recent {
      doubtful.insert(record.unit)
      if let kill = record.kill { doubtfulKills.append(kill) }
    }
    // Without its footer a segment that was sealed doesn't say of its last commit whether it was durable.
    let hasLostEnd = wasSealed && footer == nil
    judge(bad, durable: durable, hasLostEnd: hasLostEnd)
    for record in broken {
      let isOld = hasLostEnd || (record.batch > 0 && record.batch <= durable)
      judge(brokenAt: record.place, isDamaged: isOld, durable: durable)
    }
    if more > 0 { problems.append((nil, "\(more) more headers are not whole, or other places'")) }
    entries.sort { $0.unit < $1.unit }
  }

  /// Tells records that were damaged from those that were torn before they were acknowledged.
  private mutating func judge(_ bad: [RecordHeader], durable: UInt64, hasLostEnd: Bool) {
    for header in bad {
      let what = "chunk \(header.record.chunk.id) at byte \(header.place.offset)"
      if header.batch <= durable {
        take(header)
        damaged.insert(header.place.unit)
        problems.append((header.place.unit, "\(what) is damaged"))
      } else if hasLostEnd {
        // It may have been torn: what it ended, or another record of the chunk, counts then.
        if header.kind == .chunk {
          take(header, ends: false)
          if let kill = header.kill { unsureKills.append((header.place.unit, kill)) }
          unsure.insert(header.place.unit)
          damaged.insert(header.place.unit)
        }
        problems.append((header.place.unit, "\(what) is damaged"))
      } else {
        skip(header.place, what, durable: durable)
      }
    }
  }

  /// The same for one of which not even the header is whole.
  private mutating func judge(brokenAt place: RecordPlace, isDamaged: Bool, durable: UInt64) {
    if isDamaged {
      lost.append(place.unit)
      problems.append(
        (
          place.unit,
          "the header at byte \(place.offset) is damaged, or another place's: "
            + "what chunk or deletion stood there is lost"
        ))
    } else {
      skip(place, "a record at byte \(place.offset)", durable: durable)
    }
  }

  /// Says that a record was torn.
  private mutating func skip(_ place: RecordPlace, _ what: String, durable: UInt64) {
    durableBatch = durable
    problems.append(
      (
        place.unit, "\(what) is not whole and was skipped: it was being written when the power went"
      ))
  }

  /// Puts everything in doubt: what was read could not be synced.
  mutating func doubtAll() {
    doubtful = Set(entries.map(\.unit))
    doubtfulKills = kills
  }

  /// Takes a record in.
  private mutating func take(_ header: RecordHeader, ends: Bool = true) {
    let chunk = header.record.chunk
    writtenBytes +=
      header.kind == .chunk
      ? Segment.recordBytes(length: chunk.length) : RecordHeader.deletionBytes
    if header.kind == .chunk {
      entries.append(
        SegmentEntry(id: chunk.id, unit: header.place.unit, length: chunk.length))
    }
    if ends, let kill = header.kill { kills.append(kill) }
  }
}
