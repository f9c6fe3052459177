import ArgumentParser
import StoreClient
import StoreModel

/// `holdfast nodes`.
struct NodesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nodes", abstract: "List the nodes.",
    discussion: """
      A node is up while its heartbeats come, suspect when they stop (it gets no new chunks), and dead \
      after a minute.
      """)

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let nodes = try await client.withClient { try await $0.nodes() }
    guard !client.json else {
      for node in nodes { client.printJSON(node.json) }
      return
    }
    let header = ["NODE", "ADDRESS", "ZONE", "STATE", "CHUNKS", "STORED", "FREE"]
    let rows = nodes.map { node in
      [
        node.record.id.description, node.record.address,
        node.record.zone.isEmpty ? "-" : node.record.zone, node.state?.rawValue ?? "unknown",
        "\(node.statistics.chunks)", Quantity.bytes(node.statistics.usedBytes),
        Quantity.bytes(node.statistics.freeBytes),
      ]
    }
    for line in table([header] + rows, rightAligned: [4, 5, 6]) { StandardOutput.shared.line(line) }
  }
}
