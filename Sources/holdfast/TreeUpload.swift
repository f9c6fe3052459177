import NIOCore
import StoreClient
import StoreModel

/// Stores every file below a directory: `holdfast put -r`.
///
/// Small files go several at a time, as each waits for disks; large ones one at a time, as each keeps
/// several chunks in memory.
struct TreeUpload: Sendable {
  let root: String
  let prefix: NamePrefix
  let storageClass: StorageClass
  let condition: Condition
  let options: ClientOptions

  /// Stores all that can be stored.
  ///
  /// - Throws: `CommandFailure`: the worst of what failed.
  func run() async throws {
    guard LocalFile.isDirectory(root) else {
      _ = try LocalFile(reading: root)
      throw CommandFailure(.usage, "'\(root)' is no directory; store a file without -r")
    }
    let items = try await FileQueue.run { FileTree.items(below: root) }
    try await options.withClient { client in
      try await TreeTransfer(verb: "stored").run(
        items,
        bytes: { item in
          if case .file(let bytes) = item.kind { bytes } else { 0 }
        }
      ) { item in
        try await store(item, with: client)
      }
    }
  }

  /// Stores one file; returns whether it counts.
  private func store(_ item: FileTree.Item, with client: StoreClient) async throws -> Bool {
    switch item.kind {
    case .skipped(let reason):
      StandardError.line("holdfast: '\(item.path.visible)' is left out: \(reason)")
      return false
    case .failed(let failure):
      throw failure
    case .file(let bytes):
      let name: Name
      do {
        name = try Name(bucket: prefix.bucket, key: prefix.folder + item.relativePath)
      } catch {
        throw CommandFailure(.usage, "'\(item.path)': \(error.message)")
      }
      let file = try LocalFile(reading: item.path)
      let source = FileSource(
        descriptor: file.descriptor, expectedBytes: file.bytes, label: item.path)
      let progress = bytes > TreeTransfer.smallBytes ? TerminalProgress(name.description) : nil
      defer { progress?.finish() }
      let receipt = try await client.upload(
        source, to: name, storageClass: storageClass, condition: condition, size: file.bytes
      ) { progress?.report($0) }
      if options.json {
        options.printJSON(receipt.json)
      } else {
        StandardOutput.shared.line(receipt.summary)
      }
      return true
    }
  }
}
