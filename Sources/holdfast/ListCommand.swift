import ArgumentParser
import StoreClient
import StoreModel

/// `holdfast ls`.
struct ListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List names.",
    discussion: """
      Names come in the order of their bytes. Control characters in them are shown as \\n, \\x1B and the \
      like; with --json names are exact.

        holdfast ls                      all of the bucket 'default'
        holdfast ls archive:2026/        the keys of 'archive' that begin with 2026/
        holdfast ls --delimiter / trips/ what stands directly below trips/
      """)

  @Argument(help: ArgumentHelp("[BUCKET:]PREFIX; by default everything.", valueName: "prefix"))
  var prefix = ""

  @Option(help: "Fold keys that hold this after the prefix into one line.")
  var delimiter = ""

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let wanted = try NamePrefix(parsing: prefix)
    try await client.withClient { store in
      let listing = store.list(
        bucket: wanted.bucket, prefix: wanted.prefix, delimiter: delimiter)
      for try await item in listing { print(item, bucket: wanted.bucket) }
    }
  }

  private func print(_ item: ListedItem, bucket: String) {
    switch item {
    case .entry(let entry):
      if client.json {
        client.printJSON(entry.json)
      } else {
        let size = Quantity.bytes(entry.size)
        let padding = String(repeating: " ", count: max(0, 10 - size.count))
        let moment = Quantity.moment(microsecondsSince1970: entry.modifiedMicroseconds)
        StandardOutput.shared.line("\(padding)\(size)  \(moment)  \(entry.name.key.visible)")
      }
    case .prefix(let prefix):
      if client.json {
        client.printJSON(.of(["bucket": .string(bucket), "prefix": .string(prefix)]))
      } else {
        let blank = String(repeating: " ", count: 38)
        StandardOutput.shared.line("\(blank)\(prefix.visible)")
      }
    }
  }
}
