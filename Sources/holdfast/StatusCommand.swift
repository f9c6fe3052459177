import ArgumentParser
import StoreClient

/// `holdfast status`.
struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show how the cluster is.",
    discussion: "Counts what is below its target number of copies and what can't be read.")

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let status = try await client.withClient { try await $0.status() }
    guard !client.json else {
      client.printJSON(status.json)
      return
    }
    let rows = [
      ["cluster", status.cluster],
      ["files", "\(status.entries), \(Quantity.bytes(status.bytes))"],
      ["nodes", "\(status.nodesUp) up, \(status.nodesSuspect) suspect, \(status.nodesDead) dead"],
      ["groups", "\(status.groups), \(status.groupsBelowTarget) below their target"],
      ["below target", Quantity.bytes(status.bytesBelowTarget)],
      ["at one copy", "\(status.chunksAtOneCopy) chunks"],
      ["unavailable", "\(status.chunksUnavailable) chunks"],
    ]
    for line in table(rows) { StandardOutput.shared.line(line) }
  }
}
