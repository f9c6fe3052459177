import RPC
import StoreClient
import StoreModel

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Reads every file below a prefix into a directory: `holdfast get -r`.
struct TreeDownload: Sendable {
  /// How many names are gathered before they are read: bounds memory.
  private static let batch = 1_000

  let prefix: NamePrefix
  let root: String
  let options: ClientOptions

  /// Reads all that can be read.
  ///
  /// - Throws: `CommandFailure`: the worst of what failed.
  func run() async throws {
    try await options.withClient { client in
      var worst = ExitStatus.done
      var message = ""
      var total = 0
      var entries: [Entry] = []
      var listing = client.list(bucket: prefix.bucket, prefix: prefix.folder).makeAsyncIterator()
      repeat {
        entries.removeAll()
        while entries.count < Self.batch, let item = try await listing.next() {
          if case .entry(let entry) = item { entries.append(entry) }
        }
        if total == 0 {
          guard !entries.isEmpty else {
            throw CommandFailure(.noInput, "there are no files below '\(prefix.description)'")
          }
          try makeDirectory(root)
        }
        total += entries.count
        do {
          try await TreeTransfer(verb: "read").run(entries, bytes: \.size) { entry in
            try await fetch(entry, with: client)
            return true
          }
        } catch let failure as CommandFailure {
          worst = ExitStatus.worse(worst, failure.status)
          message = failure.message
        }
      } while !entries.isEmpty
      guard worst == .done else { throw CommandFailure(worst, message) }
    }
  }

  private func fetch(_ entry: Entry, with client: StoreClient) async throws {
    let rest = entry.name.key.dropFirst(prefix.folder.count)
    let parts = try SafePath.parts(of: rest, key: entry.name.key)
    var path = root
    for part in parts.dropLast() {
      path += "/" + part
      try makeDirectory(path)
    }
    path += "/" + (parts.last ?? "")
    let partial = try PartialFile(target: path, unique: SystemRandomSource().next())
    let sink = FileSink(descriptor: partial.descriptor, label: path)
    let progress = entry.size > TreeTransfer.smallBytes ? TerminalProgress(path) : nil
    defer { progress?.finish() }
    let read = try await client.download(entry.name, progress: { progress?.report($0) }) {
      try await sink.write($0)
    }
    try partial.commit()
    if options.json {
      options.printJSON(read.json(and: ["file": .string(path)]))
    } else {
      StandardOutput.shared.line("\(path.visible)  \(Quantity.bytes(read.size))")
    }
  }

  private func makeDirectory(_ path: String) throws {
    if mkdir(path, 0o777) == 0 || (errno == EEXIST && LocalFile.isDirectory(path)) { return }
    throw CommandFailure.system(errno == EEXIST ? ENOTDIR : errno, "'\(path)'")
  }
}
