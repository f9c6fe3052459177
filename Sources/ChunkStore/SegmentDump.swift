import NIOCore
package import StoreModel

/// What a segment's file holds, for people who look into it.
package enum SegmentDump {
  /// Something that stands in a segment.
  package enum Item: Sendable {
    /// The segment's header: its number and its disk's.
    case segment(number: UInt32, disk: UInt64)
    /// A record.
    case record(Record)
    /// Bytes that are no record: from and up to.
    case nothing(Range<Int>)
    /// The checkpoint at the end: how many entries and kills it has.
    case checkpoint(offset: Int, entries: Int, kills: Int)
    /// There is no checkpoint: it is being written to, or was when the power went.
    case open
    /// Something that is wrong.
    case problem(String)
  }

  /// A record.
  package struct Record: Sendable {
    /// Where it begins in the file.
    package var offset: Int
    /// Bytes of it, with what fills it up.
    package var bytes: Int
    /// Whether it ends another record and is nothing else.
    package var isDeletion: Bool
    /// The chunk; of a deletion the id alone is meant.
    package var chunk: ChunkRecord
    /// When the chunk was deleted, in seconds since 1970; nil where no chunk was.
    package var deletedAt: Int64?
    /// The record that it ends: segment and offset.
    package var ends: (segment: UInt32, offset: Int)?
    /// The number of the commit that made it durable.
    package var batch: UInt64
    /// Blocks of 64 KiB that don't fit their checksums.
    package var badBlocks: [Int]
    /// Whether that is because the record is zeros: its room was given back, or something wiped it.
    package var isBlank: Bool
  }

  /// Reads a segment from its beginning to its end.
  ///
  /// - Parameters:
  ///   - path: the segment's file.
  ///   - disk: where it is.
  ///   - body: told of each thing, in order.
  /// - Throws: `notFound`, `internal` when the file can't be read.
  package static func run(
    _ path: String, on disk: any Disk, _ body: (Item) -> Void
  ) async throws(StoreError) {
    let file = try await disk.open(path)
    let fileBytes = try await file.size().bytes
    let head = try await file.read(at: 0, length: SegmentHeader.bytes).bytes
    let name = path.split(separator: "/").last.map(String.init) ?? path
    var number = StorePaths.segment(ofFile: name) ?? 0
    var key: UInt64?
    do throws(StoreError) {
      let header = try SegmentHeader(decoding: head)
      if number != 0, number != header.number {
        body(.problem("the file's name is that of segment \(number)"))
      }
      number = header.number
      key = header.key
      body(.segment(number: header.number, disk: header.disk))
    } catch {
      body(.problem("the segment's header: \(error.message)"))
    }
    let footer = try await SegmentRecovery.footer(
      of: file, number: number, fileBytes: fileBytes)
    let end = footer.map { Int($0.offset) } ?? fileBytes
    var scanner = SegmentScanner(file: file, number: number, key: key, end: end)
    while let finding = await scanner.next() {
      switch finding {
      case .record(let header, let badBlocks):
        let isBlank = badBlocks.isEmpty ? false : await isBlank(header, in: file)
        body(.record(Record(header, badBlocks, isBlank: isBlank)))
      case .brokenHeader(let place, _):
        body(.problem("the header at byte \(place.offset) is not whole, or another place's"))
      case .nothing(let range): body(.nothing(range))
      }
    }
    if let failure = scanner.failure {
      body(.problem("a part of it can't be read: \(failure.message)"))
    }
    guard let footer else {
      body(.open)
      return
    }
    let lists = try await checkpoint(of: file, footer: footer)
    if !lists.areWhole { body(.problem("the checkpoint's lists are damaged")) }
    body(
      .checkpoint(
        offset: end, entries: Int(footer.entryCount), kills: Int(footer.killCount)))
  }

  /// Whether a damaged record is zeros where its room is given back.
  private static func isBlank(
    _ header: RecordHeader, in file: any DiskFile
  ) async -> Bool {
    let length = header.record.chunk.length
    guard let range = Segment.deadRange(header.place, length: length, isSealed: false),
      let read = try? await file.read(at: range.lowerBound, length: range.count)
    else { return false }
    return read.bytes.readableBytesView.allSatisfy { $0 == 0 }
  }

  /// A checkpoint's lists, as far as they are whole.
  static func checkpoint(
    of file: any DiskFile, footer: SegmentCheckpoint.Footer
  ) async throws(StoreError) -> (entries: [SegmentEntry], kills: [RecordKill], areWhole: Bool) {
    let entries = SegmentCheckpoint.entries(
      try await file.read(
        at: footer.entriesRange.lowerBound, length: footer.entriesRange.count
      ).bytes, footer: footer)
    let kills = SegmentCheckpoint.kills(
      try await file.read(at: footer.killsRange.lowerBound, length: footer.killsRange.count).bytes,
      footer: footer)
    return (entries ?? [], kills ?? [], entries != nil && kills != nil)
  }
}

extension SegmentDump.Record {
  init(_ header: RecordHeader, _ badBlocks: [Int], isBlank: Bool) {
    self.init(
      offset: header.place.offset, bytes: header.recordBytes,
      isDeletion: header.kind == .deletion, chunk: header.record,
      deletedAt: header.kill.flatMap { $0.deletedAt > 0 ? $0.deletedAt : nil },
      ends: header.superseded.map { ($0.segment, $0.offset) }, batch: header.batch,
      badBlocks: badBlocks, isBlank: isBlank)
  }
}
