import ArgumentParser
import RPC
import StoreClient
import StoreModel

/// `holdfast get`.
struct GetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Read a file, or all files with a prefix.",
    discussion: """
      Every byte is compared to its checksum before it is written. The file appears under its name \
      when it is whole: a command that fails or is killed leaves nothing behind. A file that is \
      replaced keeps its mode; links are followed; a device or a pipe gets the bytes as they come.

        holdfast get report.pdf                  into report.pdf
        holdfast get archive:2026/q1.pdf q1.pdf  into q1.pdf
        holdfast get archive:2026/q1.pdf /tmp    into /tmp/q1.pdf
        holdfast get src.tar - | tar x           to standard output
        holdfast get --range 0-1023 big.bin -    the first 1,024 bytes
        holdfast get -r trips/rome photos        trips/rome/a.jpg becomes photos/a.jpg
      """)

  @Argument(
    help: ArgumentHelp("[BUCKET:]KEY; with -r what keys begin with.", valueName: "name"))
  var name: String

  @Argument(
    help: ArgumentHelp(
      "The file to write, or the directory to write it in; - for standard output; by default the key's last part. With -r a directory.",
      valueName: "file"))
  var target: String?

  @Flag(name: .shortAndLong, help: "Read every file below a prefix into a directory.")
  var recursive = false

  @Option(
    help: ArgumentHelp(
      "Only these bytes, counted from 0, both ends included; without LAST to the end.",
      valueName: "first-last"))
  var range: ByteRangeArgument?

  @OptionGroup var client: ClientOptions

  func validate() throws {
    guard recursive else { return }
    if range != nil { throw ValidationError("--range and -r don't go together") }
    if target == nil { throw ValidationError("-r needs a directory: holdfast get -r PREFIX DIR") }
  }

  func run() async throws {
    if recursive {
      try await TreeDownload(
        prefix: NamePrefix(parsing: name), root: target ?? ".", options: client
      ).run()
      return
    }
    let name = try parseName(name)
    if target == "-" {
      try await fetch(name, into: try OpenDescriptor.standardOutput())
      return
    }
    let path = try targetPath(of: name)
    let target = try await LocalTarget.open(path, unique: SystemRandomSource().next())
    let entry = try await fetch(name, into: FileSink(descriptor: target.descriptor, label: path))
    try target.commit()
    if client.json { client.printJSON(entry.json(and: ["file": .string(path)])) }
  }

  private func targetPath(of name: Name) throws -> String {
    if let target, !LocalFile.isDirectory(target) { return target }
    let last = name.key.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    guard !last.isEmpty, last != ".", last != ".." else {
      throw CommandFailure(
        .usage, "'\(name)' has no last part to name a file with: say 'holdfast get NAME FILE'")
    }
    guard let target else { return String(last) }
    return target + (target.hasSuffix("/") ? "" : "/") + last
  }

  @discardableResult
  private func fetch(_ name: Name, into sink: FileSink) async throws -> Entry {
    let progress = TerminalProgress(name.description)
    do {
      return try await client.withClient { client in
        defer { progress.finish() }
        do {
          return try await client.download(
            name, range: range?.bytes, progress: { progress.report($0) }
          ) { try await sink.write($0) }
        } catch let error as StoreError where error.code == .notFound {
          throw try await missing(name, client, error)
        }
      }
    } catch is FileSink.Closed {
      endQuietly()
    }
  }

  /// A name that isn't there may be meant as a folder: the message says so.
  private func missing(
    _ name: Name, _ client: StoreClient, _ error: StoreError
  ) async throws -> CommandFailure {
    let folder = name.key.hasSuffix("/") ? name.key : name.key + "/"
    let below = client.list(bucket: name.bucket, prefix: folder, pageSize: 1).makeAsyncIterator()
    var iterator = below
    guard try await iterator.next() != nil else { return CommandFailure(.noInput, error.message) }
    return CommandFailure(
      .noInput,
      "'\(name)' is no file, but there are files below it: 'holdfast get -r \(name) DIR' reads them"
    )
  }
}

/// `FIRST-LAST` on the command line.
struct ByteRangeArgument: ExpressibleByArgument, Sendable, Equatable {
  /// From the first byte to behind the last.
  var bytes: Range<UInt64>

  init?(argument: String) {
    let parts = argument.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let first = Self.number(parts[0]) else { return nil }
    if parts[1].isEmpty {
      bytes = first..<UInt64.max
      return
    }
    guard let last = Self.number(parts[1]), last >= first, last < UInt64.max else { return nil }
    bytes = first..<(last + 1)
  }

  /// Digits alone: no sign, no spaces.
  private static func number(_ text: Substring) -> UInt64? {
    text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      ? UInt64(text) : nil
  }
}
