import ArgumentParser
import StoreClient
import StoreModel

/// `holdfast rm`.
struct RemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Remove names.",
    discussion: """
      Says which names it removed, and on standard error which it didn't. A name that isn't there does \
      not keep the others from being removed; the exit code is the first failure's.
      """)

  @Argument(help: ArgumentHelp("[BUCKET:]KEY.", valueName: "name"))
  var names: [String]

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let names = try names.map(parseName)
    try await client.withClient { store in
      var first: ExitStatus?
      for (place, name) in names.enumerated() {
        do {
          tell(name, removed: try await store.delete(name))
        } catch {
          let failure = CommandFailure.describing(error)
          tell(name, failure)
          first = first ?? failure.status
          guard failure.status == .unavailable else { continue }
          // Without the Directory the other names fare no better.
          for other in names[(place + 1)...] {
            tell(other, CommandFailure(.unavailable, "'\(other)' was not tried"))
          }
          break
        }
      }
      if let first { throw CommandFailure(first, "") }
    }
  }

  private func tell(_ name: Name, removed version: UInt64) {
    // At once: what is gone must be known of also when the command ends before it is done.
    defer { StandardOutput.shared.flush() }
    if client.json {
      client.printJSON(
        .of([
          "bucket": .string(name.bucket), "key": .string(name.key), "version": .number(version),
        ]))
    } else {
      StandardOutput.shared.line("\(name.description.visible)  version \(version) removed")
    }
  }

  /// The failure, with the name unless its message has that already.
  private func tell(_ name: Name, _ failure: CommandFailure) {
    let subject = "'\(name)'"
    let told = failure.message.contains(subject) ? failure : failure.about(subject)
    StandardError.line("holdfast: \(told.message.visible)")
  }
}
