import Checksum
import RPC
import StoreModel
import StoreProtocol
import Synchronization

/// One version of a file that is being read, and where its chunks are.
final class OpenedFile: Sendable {
  /// The version.
  let entry: Entry
  /// Its content.
  let manifest: Manifest
  private let routes: Mutex<[GroupID: GroupRoute]>

  /// A file as the Directory described it.
  ///
  /// - Throws: `StoreError.dataLoss` when entry and manifest don't fit together.
  init(entry: Entry, manifest: Manifest, groups: [GroupRoute]) throws(StoreError) {
    var size: UInt64 = 0
    var checksum: UInt32 = 0
    for chunk in manifest.chunks {
      size += UInt64(chunk.length)
      checksum = CRC32C.combine(checksum, chunk.checksum, secondLength: UInt64(chunk.length))
    }
    guard size == entry.size, checksum == entry.checksum, manifest.size == entry.size else {
      throw StoreError(
        .dataLoss,
        "the Directory's records of '\(entry.name)' don't fit together: \(entry.size) bytes with "
          + "checksum \(hexadecimal(entry.checksum)), but its chunks have \(size) with "
          + hexadecimal(checksum))
    }
    self.entry = entry
    self.manifest = manifest
    routes = Mutex(Dictionary(groups.map { ($0.id, $0) }) { first, _ in first })
  }

  /// Who holds the group's chunks; nil when the Directory didn't say.
  func route(to group: GroupID) -> GroupRoute? {
    routes.withLock { $0[group] }
  }

  /// The Directory said again who holds what.
  func replaceRoutes(with other: OpenedFile) {
    let fresh = other.routes.withLock { $0 }
    routes.withLock { $0.merge(fresh) { _, new in new } }
  }
}

extension StoreClient {
  /// Asks the Directory for all that a reader needs.
  func open(_ name: Name) async throws -> OpenedFile {
    let response = try await callDirectory { directory, options in
      try await directory.openFile(OpenFileRequest(name: WireName(name)), options: options)
    }
    guard let entry = response.entry, let manifest = response.manifest else {
      throw StoreError(.internal, "the Directory sent no entry or no manifest for '\(name)'")
    }
    return try OpenedFile(
      entry: Entry(entry), manifest: Manifest(manifest),
      groups: response.groups.map(GroupRoute.init))
  }

  /// Asks the Directory again where the chunks of an opened file are.
  ///
  /// - Throws: `StoreError.aborted` when the name has another version now, whose chunks are others.
  func refresh(_ file: OpenedFile) async throws {
    let name = file.entry.name
    let fresh: OpenedFile
    do {
      fresh = try await open(name)
    } catch let error as StoreError where error.code == .notFound {
      throw StoreError(.aborted, "'\(name)' was removed while it was read")
    }
    guard fresh.entry.version == file.entry.version else {
      throw StoreError(.aborted, "'\(name)' was replaced while it was read; read it again")
    }
    file.replaceRoutes(with: fresh)
  }
}
