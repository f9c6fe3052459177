import ArgumentParser
import StoreClient
import StoreModel

/// `holdfast stat`.
struct StatCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stat", abstract: "Show what is known of a file.",
    discussion: "Says its version, size, checksum (CRC-32C) and how many copies there are.")

  @Argument(help: ArgumentHelp("[BUCKET:]KEY.", valueName: "name"))
  var name: String

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let name = try parseName(name)
    let status = try await client.withClient { try await $0.stat(name) }
    guard !client.json else {
      client.printJSON(status.json)
      return
    }
    let entry = status.entry
    let rows = [
      ["bucket", entry.name.bucket], ["key", entry.name.key.visible],
      ["version", "\(entry.version)"],
      ["size", "\(entry.size) (\(Quantity.bytes(entry.size)))"],
      ["checksum", "\(hexadecimal(entry.checksum)) (CRC-32C)"],
      ["modified", Quantity.moment(microsecondsSince1970: entry.modifiedMicroseconds)],
      ["class", entry.storageClass.rawValue],
      ["copies", "\(status.copies) of \(status.targetCopies)"], ["chunks", "\(status.chunks)"],
    ]
    for line in table(rows) { StandardOutput.shared.line(line) }
  }
}
