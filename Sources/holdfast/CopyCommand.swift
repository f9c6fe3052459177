import ArgumentParser
import StoreClient
import StoreModel

/// `holdfast cp`.
struct CopyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cp", abstract: "Give a file a second name.",
    discussion:
      "Its bytes are not copied: both names share them. What stood at the new name is replaced.")

  @Argument(help: ArgumentHelp("[BUCKET:]KEY.", valueName: "from"))
  var source: String

  @Argument(help: ArgumentHelp("[BUCKET:]KEY.", valueName: "to"))
  var target: String

  @Flag(help: "Only when there is no file of the new name; else exit with 73.")
  var ifAbsent = false

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let (source, target) = (try parseName(source), try parseName(target))
    let entry = try await client.withClient {
      try await $0.copy(source, to: target, condition: ifAbsent ? .absent : .none)
    }
    if client.json { client.printJSON(entry.json) }
  }
}
