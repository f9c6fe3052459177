import ArgumentParser
import StoreClient
import StoreModel

/// `holdfast rm`.
struct RemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Remove names.",
    discussion: "A name that isn't there does not keep the others from being removed; exit code 66."
  )

  @Argument(help: ArgumentHelp("[BUCKET:]KEY.", valueName: "name"))
  var names: [String]

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let names = try names.map(parseName)
    try await client.withClient { store in
      var worst = ExitStatus.done
      for name in names {
        do {
          let version = try await store.delete(name)
          guard client.json else { continue }
          client.printJSON(
            .of([
              "bucket": .string(name.bucket), "key": .string(name.key),
              "version": .number(version),
            ]))
        } catch {
          let failure = CommandFailure.describing(error)
          // Without the Directory the other names fare no better.
          if failure.status == .unavailable || names.count == 1 { throw failure }
          StandardError.line("holdfast: \(failure.message.visible)")
          worst = ExitStatus.worse(worst, failure.status)
        }
      }
      guard worst == .done else { throw CommandFailure(worst, "") }
    }
  }
}
