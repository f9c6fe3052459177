import ArgumentParser
import ChunkStore
import Foundation
import StoreModel

/// `holdfast store`.
struct StoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store",
    abstract: "Look into a node's data directory, or add one, without the node.",
    subcommands: [StoreVerifyCommand.self, StoreDumpCommand.self, StoreAddDiskCommand.self])
}

/// `holdfast store verify`.
struct StoreVerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read everything in a data directory and check it.",
    discussion: """
      Reads every record of every segment and compares it with its checksums. Changes nothing. The node \
      must not run: its directory is locked meanwhile.

        holdfast store verify /var/lib/holdfast/node

      Exit codes: 0 nothing is wrong, 65 something is damaged or gone (it says what), 66 no such \
      directory, 73 it is in use or not Holdfast's.
      """)

  @Argument(help: ArgumentHelp("The data directory.", valueName: "dir"))
  var directory: String

  @Flag(help: "Print the result as JSON.")
  var json = false

  func run() async throws {
    let check = try await StoreCheck.run(on: try FileDisk(existing: directory))
    if json {
      printJSON(check)
    } else {
      printLines(check)
    }
    guard check.isSound else { throw CommandFailure(.dataCorrupt, "") }
  }

  private func printLines(_ check: StoreCheck) {
    let rows = [
      ["node", "\(check.node)"], ["cluster", check.cluster.isEmpty ? "none yet" : check.cluster],
      ["segments", "\(check.segments)"],
      ["verified by the node", verified(check)],
      ["chunks", "\(check.chunks) (\(Quantity.bytes(check.chunkBytes)))"],
      ["dead records", "\(check.deadRecords)"], ["torn records", "\(check.tornRecords)"],
      ["damaged chunks", "\(check.damaged.count)"],
    ]
    for line in table(rows) { StandardOutput.shared.line(line) }
    for damage in check.damaged {
      StandardOutput.shared.line(
        "\(damage.path): chunk \(damage.id) at byte \(damage.offset) is damaged")
    }
    for problem in check.problems {
      StandardOutput.shared.line("\(problem.path): \(problem.message)")
    }
  }

  /// What the node has verified itself, beside its work.
  private func verified(_ check: StoreCheck) -> String {
    guard let seconds = check.oldestVerification else { return "none yet" }
    let day = Quantity.moment(microsecondsSince1970: seconds * 1_000_000)
    return "\(check.verifiedSegments), the longest ago on \(day)"
  }

  private func printJSON(_ check: StoreCheck) {
    let line = JSON.of([
      "node": .string("\(check.node)"), "cluster": .string(check.cluster),
      "segments": .number(UInt64(check.segments)), "chunks": .number(UInt64(check.chunks)),
      "verified_segments": .number(UInt64(check.verifiedSegments)),
      "oldest_verification": check.oldestVerification.map {
        .string(Quantity.moment(microsecondsSince1970: $0 * 1_000_000))
      } ?? .null,
      "bytes": .number(check.chunkBytes), "dead_records": .number(UInt64(check.deadRecords)),
      "torn_records": .number(UInt64(check.tornRecords)),
      "damaged": .array(
        check.damaged.map {
          .of([
            "chunk": .string("\($0.id)"), "path": .string($0.path),
            "offset": .number(UInt64($0.offset)),
          ])
        }),
      "problems": .array(
        check.problems.map { .of(["path": .string($0.path), "message": .string($0.message)]) }),
    ])
    StandardOutput.shared.line(line.text)
  }
}

/// `holdfast store dump`.
struct StoreDumpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dump", abstract: "Print what stands in a segment.",
    discussion: """
      A line for each record: where it begins, its size, the chunk (group/upload/index), its length and \
      its name, and what is wrong with it. Blocks of zeros are blank: their room is given back once a chunk \
      was deleted or moved; whether it was tells 'holdfast store verify'. The node may run.

        holdfast store dump /var/lib/holdfast/node/segments/00000001.segment

      Exit codes: 0 nothing is wrong, 65 it is damaged or no segment, 66 no such file.
      """)

  @Argument(help: ArgumentHelp("The segment's file.", valueName: "segment"))
  var segment: String

  @Flag(help: "Print a JSON object a line.")
  var json = false

  func run() async throws {
    let slash = segment.lastIndex(of: "/")
    let directory = slash.map { String(segment[..<$0]) } ?? "."
    let name = slash.map { String(segment[segment.index(after: $0)...]) } ?? segment
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: segment, isDirectory: &isDirectory),
      isDirectory.boolValue
    {
      throw StoreError(.dataLoss, "'\(segment)' is a directory: give a segment's file")
    }
    let disk = try FileDisk(existing: directory.isEmpty ? "/" : directory)
    var isDamaged = false
    try await SegmentDump.run(name, on: disk) { item in
      switch item {
      case .record(let record):
        isDamaged = isDamaged || !(record.badBlocks.isEmpty || record.isBlank)
      case .problem: isDamaged = true
      case .segment, .nothing, .checkpoint, .open: break
      }
      StandardOutput.shared.line(json ? Self.object(item).text : Self.line(item))
    }
    guard !isDamaged else { throw CommandFailure(.dataCorrupt, "") }
  }

  private static func line(_ item: SegmentDump.Item) -> String {
    switch item {
    case .segment(let number, let disk):
      return "segment \(number) of disk \(NodeID(disk))"
    case .record(let record):
      let chunk = record.chunk.chunk
      let ends = record.ends.map { ", ends \($0.offset) of segment \($0.segment)" } ?? ""
      let head = "\(record.offset) +\(record.bytes) commit \(record.batch)"
      if let time = record.deletedAt { return "\(head) deletion of \(chunk.id) at \(time)\(ends)" }
      guard !record.isDeletion else { return "\(head) end of a record of \(chunk.id)\(ends)" }
      let blocks = record.badBlocks.map(String.init).joined(separator: ", ")
      let state =
        record.badBlocks.isEmpty
        ? "" : " \(record.isBlank ? "blank" : "DAMAGED") in blocks \(blocks)"
      return "\(head) chunk \(chunk.id) epoch \(chunk.epoch) \(chunk.length) bytes "
        + "\(hexadecimal(record.chunk.checksum)) \(chunk.name.description.visible)\(ends)\(state)"
    case .nothing(let range): return "\(range.lowerBound) +\(range.count) nothing"
    case .checkpoint(let offset, let entries, let kills):
      return "\(offset) checkpoint of \(entries) chunks and \(kills) ended records"
    case .open: return "no checkpoint: it is being written to, or was when the power went"
    case .problem(let what): return "problem: \(what)"
    }
  }

  private static func object(_ item: SegmentDump.Item) -> JSON {
    switch item {
    case .segment(let number, let disk):
      return .of([
        "kind": .string("segment"), "number": .number(UInt64(number)),
        "disk": .string("\(NodeID(disk))"),
      ])
    case .record(let record):
      let chunk = record.chunk.chunk
      return .of([
        "kind": .string(record.isDeletion ? "deletion" : "chunk"),
        "offset": .number(UInt64(record.offset)), "bytes": .number(UInt64(record.bytes)),
        "commit": .number(record.batch), "chunk": .string("\(chunk.id)"),
        "epoch": .number(chunk.epoch), "length": .number(UInt64(chunk.length)),
        "checksum": .string(hexadecimal(record.chunk.checksum)),
        "bucket": .string(chunk.name.bucket), "key": .string(chunk.name.key),
        "deleted_at": record.deletedAt.map { .number(UInt64(clamping: $0)) } ?? .null,
        "ends_segment": record.ends.map { .number(UInt64($0.segment)) } ?? .null,
        "ends_offset": record.ends.map { .number(UInt64($0.offset)) } ?? .null,
        "damaged_blocks": .array(
          record.isBlank ? [] : record.badBlocks.map { .number(UInt64($0)) }),
        "blank_blocks": .array(
          record.isBlank ? record.badBlocks.map { .number(UInt64($0)) } : []),
      ])
    case .nothing(let range):
      return .of([
        "kind": .string("nothing"), "offset": .number(UInt64(range.lowerBound)),
        "bytes": .number(UInt64(range.count)),
      ])
    case .checkpoint(let offset, let entries, let kills):
      return .of([
        "kind": .string("checkpoint"), "offset": .number(UInt64(offset)),
        "chunks": .number(UInt64(entries)), "ended": .number(UInt64(kills)),
      ])
    case .open: return .of(["kind": .string("open")])
    case .problem(let what):
      return .of(["kind": .string("problem"), "message": .string(what)])
    }
  }
}
