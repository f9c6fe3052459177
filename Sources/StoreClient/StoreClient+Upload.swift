import Logging
public import NIOCore
import RPC
public import StoreModel
import StoreProtocol
import Synchronization

extension StoreClient {
  /// Stores the bytes that `source` yields under `name`.
  ///
  /// Memory holds a few chunks, whatever the file's size: the source is asked for more as nodes
  /// acknowledge. When this throws, the name is as it was, except after `unavailable` from the very last
  /// step, when the Directory may have published the file before its answer was lost.
  ///
  /// - Parameters:
  ///   - source: the file's bytes in buffers of any size.
  ///   - name: where the file goes.
  ///   - storageClass: how many copies it should have.
  ///   - condition: what must be so of the name when the file is published.
  ///   - size: the bytes to come, for `progress`; nil where that isn't known.
  ///   - progress: called after each chunk.
  /// - Returns: what the Directory acknowledged.
  /// - Throws: `StoreError`, `RPCError` when the caller is refused, what `source` throws,
  ///   `CancellationError`.
  public func upload<Source: AsyncSequence & Sendable>(
    _ source: Source, to name: Name, storageClass: StorageClass = .standard,
    condition: Condition = .none, size: UInt64? = nil,
    progress: (@Sendable (TransferProgress) -> Void)? = nil
  ) async throws -> Receipt where Source.Element == ByteBuffer {
    let ticket = try await takeTicket(storageClass)
    let session = UploadSession(ticket: ticket, name: name, storageClass: storageClass)
    let manifest: Manifest
    do {
      manifest = try await send(source, of: session) { done in
        progress?(TransferProgress(bytesDone: done, bytesTotal: size))
      }
    } catch {
      abandon(session.upload)
      throw error
    }
    return try await commit(manifest, of: session, condition: condition)
  }

  /// Stores bytes that are in memory under `name`; see the other `upload`.
  public func upload(
    _ bytes: ByteBuffer, to name: Name, storageClass: StorageClass = .standard,
    condition: Condition = .none
  ) async throws -> Receipt {
    try await upload(
      MemorySource(bytes), to: name, storageClass: storageClass, condition: condition,
      size: UInt64(bytes.readableBytes))
  }

  /// Cuts the source into chunks and stores them, a few at a time.
  private func send<Source: AsyncSequence & Sendable>(
    _ source: Source, of session: UploadSession, progress: @Sendable (UInt64) -> Void
  ) async throws -> Manifest where Source.Element == ByteBuffer {
    try await withThrowingTaskGroup(of: Manifest.Chunk.self) { group in
      var assembler = ChunkAssembler(
        chunkBytes: session.chunkBytes, pieceBytes: configuration.pieceBytes)
      var builder = ManifestBuilder()
      var inFlight = 0
      for try await buffer in source {
        for chunk in assembler.append(buffer) {
          if inFlight >= max(1, configuration.chunksInFlight), let stored = try await group.next() {
            inFlight -= 1
            builder.stored(stored)
            progress(builder.bytesStored)
          }
          inFlight += 1
          group.addTask { try await self.store(chunk, of: session) }
        }
      }
      if let last = assembler.finish() {
        builder.stored(try await store(last, of: session))
      }
      for try await stored in group {
        builder.stored(stored)
        progress(builder.bytesStored)
      }
      return builder.manifest(storageClass: session.storageClass)
    }
  }

  /// Publishes the file. Repeated until the Directory answers: the second time has the effect and the
  /// answer of the first.
  private func commit(
    _ manifest: Manifest, of session: UploadSession, condition: Condition
  ) async throws -> Receipt {
    let request = CommitUploadRequest(
      upload: session.upload, name: WireName(session.name), manifest: WireManifest(manifest),
      condition: WireCondition(condition))
    do {
      let response = try await callDirectory { directory, options in
        try await directory.commitUpload(request, options: options)
      }
      guard let entry = response.entry else {
        throw StoreError(.internal, "the Directory sent a receipt without an entry")
      }
      let published = try Entry(entry)
      guard published.name == session.name, published.size == manifest.size,
        published.checksum == manifest.checksum
      else {
        throw StoreError(
          .internal,
          "the Directory's receipt is not for what was stored: '\(published.name)' of \(published.size) bytes, "
            + "not '\(session.name)' of \(manifest.size) bytes")
      }
      return Receipt(
        entry: published, copies: Int(response.copies),
        targetCopies: Int(response.targetCopies), fsynced: response.fsynced,
        nodes: response.nodes.map { NodeID($0) }.sorted())
    } catch let error as StoreError where !error.code.mayRetry && error.code != .internal {
      abandon(session.upload)
      throw error
    }
  }
}

/// What the chunks of one upload share.
final class UploadSession: Sendable {
  /// The upload's id.
  let upload: UploadID
  /// Bytes of each chunk but the last.
  let chunkBytes: Int
  /// Where the file will go.
  let name: Name
  /// How many copies it should have.
  let storageClass: StorageClass
  private let offered: Mutex<[GroupRoute]>

  /// An upload that begins.
  init(ticket: UploadLease.Ticket, name: Name, storageClass: StorageClass) {
    upload = ticket.upload
    chunkBytes = ticket.chunkBytes
    self.name = name
    self.storageClass = storageClass
    // Uploads of one chunk begin with different groups.
    let turn = Int(ticket.upload % UInt64(ticket.groups.count))
    offered = Mutex(Array(ticket.groups[turn...] + ticket.groups[..<turn]))
  }

  /// The groups that its next chunk may go to.
  var groups: [GroupRoute] {
    offered.withLock { $0 }
  }

  /// The Directory offered other groups, which later chunks begin with.
  func replaceGroups(_ groups: [GroupRoute]) {
    offered.withLock { $0 = groups }
  }
}

/// Bytes in memory as a source.
struct MemorySource: AsyncSequence, Sendable {
  typealias Element = ByteBuffer

  private let bytes: ByteBuffer

  /// Yields the buffer's readable bytes at once.
  init(_ bytes: ByteBuffer) {
    self.bytes = bytes
  }

  struct AsyncIterator: AsyncIteratorProtocol {
    var rest: ByteBuffer?

    mutating func next() async -> ByteBuffer? {
      defer { rest = nil }
      return rest
    }
  }

  func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(rest: bytes)
  }
}
