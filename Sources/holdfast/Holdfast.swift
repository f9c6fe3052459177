import ArgumentParser

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The command: what stands on the command line, and which part of the libraries it calls.
@main
struct Holdfast: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "holdfast",
    abstract: "A distributed file store that loses nothing it has acknowledged.",
    discussion: """
      A Directory knows where every file is, nodes keep the bytes, and this command stores and reads \
      files. To try it, start a whole cluster in one terminal:

        holdfast dev

      and use it from another:

        holdfast put photo.jpg
        holdfast ls
        holdfast get photo.jpg copy.jpg

      A name is [BUCKET:]KEY; without a bucket it is in the bucket 'default'. Commands find the \
      Directory with --directory HOST:PORT or the variable HOLDFAST_DIRECTORY; without either at \
      127.0.0.1:7400.

      Exit codes: 0 done, 64 wrong usage, 65 data is corrupt, 66 no such name or file, 69 the store \
      can't be reached, lacks nodes or is full, 73 it exists or a condition failed, 75 try again, 77 \
      not allowed, 1 anything else.
      """,
    version: "0.1.0",
    groupedSubcommands: [
      CommandGroup(
        name: "Files",
        subcommands: [
          PutCommand.self, GetCommand.self, ListCommand.self, StatCommand.self,
          RemoveCommand.self, MoveCommand.self, CopyCommand.self,
        ]),
      CommandGroup(
        name: "The cluster",
        subcommands: [
          StatusCommand.self, NodesCommand.self, DevCommand.self, DirectoryCommand.self,
          NodeCommand.self, StoreCommand.self,
        ]),
      CommandGroup(name: "Calls", subcommands: [RPCCommand.self]),
    ])

  /// Runs the command that stands on the command line and exits with its code.
  static func main() async {
    OpenDescriptor.reserveStandardOnes()
    // A peer or a reader that goes away is an error of that write, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    let status = await run(arguments: Array(CommandLine.arguments.dropFirst()))
    StandardOutput.shared.flush()
    endProcess(status)
  }

  /// Parses and runs; says on standard error what went wrong.
  private static func run(arguments: [String]) async -> Int32 {
    do {
      try checkEncoding()
      var command = try parseAsRoot(arguments)
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
      return ExitStatus.done.rawValue
    } catch {
      return report(error)
    }
  }

  /// Arguments that aren't UTF-8 would be repaired silently, and name another file than was meant.
  private static func checkEncoding() throws {
    for place in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[place] else { continue }
      guard String(validatingCString: argument) != nil else {
        throw CommandFailure(
          .usage, "argument \(place) is not UTF-8; names and paths must be: rename the file first")
      }
    }
  }

  private static func report(_ error: any Error) -> Int32 {
    if let failure = CommandFailure(describing: error) {
      if !failure.message.isEmpty { StandardError.line("holdfast: \(failure.message.visible)") }
      return failure.status.rawValue
    }
    let text = fullMessage(for: error)
    let code = exitCode(for: error)
    if code.isSuccess {
      StandardOutput.shared.line(text)
    } else if !text.isEmpty {
      StandardError.line(
        text.hasPrefix("Error: ") ? "holdfast: " + text.dropFirst("Error: ".count) : text)
    }
    return code.rawValue
  }
}
