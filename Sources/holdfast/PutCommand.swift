import ArgumentParser
import RPC
import StoreClient
import StoreModel

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// `holdfast put`.
struct PutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "put", abstract: "Store a file, standard input, or a whole directory.",
    discussion: """
      Returns when every copy is on disk, and says how many there are.

        holdfast put report.pdf                      stores it as report.pdf
        holdfast put report.pdf archive:2026/q1.pdf  as 2026/q1.pdf in the bucket 'archive'
        tar c src | holdfast put - src.tar           standard input
        holdfast put -r photos trips/rome            photos/a.jpg becomes trips/rome/a.jpg
        holdfast put --if-absent lock.txt            fails with 73 when the name exists

      With -r and without a prefix, keys begin with the directory's own name. Symbolic links and \
      special files are left out and named; a file that fails does not stop the others, and the exit \
      code is the worst one's.
      """)

  @Argument(
    help: ArgumentHelp("The file; - for standard input; with -r a directory.", valueName: "file"))
  var source: String

  @Argument(
    help: ArgumentHelp(
      "[BUCKET:]KEY; by default the file's own name. With -r what keys begin with.",
      valueName: "name"))
  var name: String?

  @Flag(name: .shortAndLong, help: "Store every file below a directory.")
  var recursive = false

  @Option(
    name: .customLong("class"),
    help: "How many copies to keep: replica-1, replica-2 or replica-3.",
    transform: parseStorageClass)
  var storageClass: StorageClass = .standard

  @Flag(help: "Only when there is no file of this name; else exit with 73.")
  var ifAbsent = false

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let condition: Condition = ifAbsent ? .absent : .none
    if recursive {
      let upload = TreeUpload(
        root: source, prefix: try treePrefix(), storageClass: storageClass, condition: condition,
        options: client)
      try await upload.run()
      return
    }
    let target = try targetName()
    let file = try await openSource()
    let label = source == "-" ? "standard input" : source
    let progress = TerminalProgress(target.description)
    let receipt = try await client.withClient { client in
      defer { progress.finish() }
      return try await client.upload(
        FileSource(
          descriptor: file?.descriptor ?? STDIN_FILENO, expectedBytes: file?.bytes, label: label),
        to: target, storageClass: storageClass, condition: condition, size: file?.bytes
      ) { progress.report($0) }
    }
    if client.json {
      client.printJSON(receipt.json)
    } else {
      StandardOutput.shared.line(receipt.summary)
    }
  }

  /// The file; nil for standard input.
  private func openSource() async throws -> LocalFile? {
    source == "-" ? nil : try await LocalFile.waitingForWriter(source)
  }

  private func targetName() throws -> Name {
    if let name { return try parseName(name) }
    guard source != "-" else {
      throw CommandFailure(.usage, "standard input has no name: say 'holdfast put - NAME'")
    }
    guard let own = LocalFile.lastPart(of: source) else {
      throw CommandFailure(
        .usage, "'\(source)' has no name of its own: say 'holdfast put FILE NAME'")
    }
    do {
      return try Name(bucket: Name.defaultBucket, key: own)
    } catch {
      throw CommandFailure(.usage, "'\(shortened(own))' is no name: \(error.message)")
    }
  }

  private func treePrefix() throws -> NamePrefix {
    guard source != "-" else {
      throw CommandFailure(.usage, "-r takes a directory, not standard input")
    }
    if let name { return try NamePrefix(parsing: name) }
    guard let resolved = realpath(source, nil) else {
      throw CommandFailure.system(errno, "'\(source)'")
    }
    defer { free(resolved) }
    var prefix = try NamePrefix(parsing: "")
    prefix.prefix = LocalFile.lastPart(of: String(cString: resolved)) ?? ""
    return prefix
  }
}

/// A storage class from the command line.
private func parseStorageClass(_ text: String) throws -> StorageClass {
  guard !text.isEmpty else { throw ValidationError("the storage class is empty") }
  do {
    return try StorageClass(named: text)
  } catch {
    throw ValidationError(error.message)
  }
}
