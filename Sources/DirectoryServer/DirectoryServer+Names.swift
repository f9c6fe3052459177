import MetadataStore
package import RPC
import StoreModel
package import StoreProtocol
import Synchronization

extension DirectoryServer {
  /// One name's entry.
  package func getEntry(
    _ request: GetEntryRequest, context: CallContext
  ) async throws -> GetEntryResponse {
    try await answer {
      let file = try await store.file(try Name(request.name))
      let groups = try map.withLock { map throws(StoreError) in try map.groups(of: file.manifest) }
      let target = file.entry.storageClass.targetCopies
      return GetEntryResponse(
        entry: WireEntry(file.entry), copies: ClusterMap.copies(groups, target: target),
        targetCopies: UInt32(target), chunks: UInt32(file.manifest.chunks.count))
    }
  }

  /// One name's entry and manifest, with the groups that hold its chunks.
  package func openFile(
    _ request: OpenFileRequest, context: CallContext
  ) async throws -> OpenFileResponse {
    try await answer {
      let file = try await store.file(try Name(request.name))
      let groups = try map.withLock { map throws(StoreError) in
        map.wire(try map.groups(of: file.manifest))
      }
      return OpenFileResponse(
        entry: WireEntry(file.entry), manifest: WireManifest(file.manifest), groups: groups)
    }
  }

  /// A page of names.
  package func listEntries(
    _ request: ListEntriesRequest, context: CallContext
  ) async throws -> ListEntriesResponse {
    try await answer {
      guard request.limit <= ListingQuery.maxLimit else {
        throw StoreError(.invalidArgument, "a page has at most \(ListingQuery.maxLimit) names")
      }
      let page = try await store.list(
        try ListingQuery(
          bucket: request.bucket.isEmpty ? Name.defaultBucket : request.bucket,
          prefix: request.prefix, delimiter: request.delimiter, after: request.after,
          limit: request.limit == 0 ? ListingQuery.maxLimit : Int(request.limit)))
      return ListEntriesResponse(
        entries: page.entries.map { WireEntry($0) }, prefixes: page.prefixes,
        nextAfter: page.nextAfter ?? "")
    }
  }

  /// Removes a name.
  package func deleteEntry(
    _ request: DeleteEntryRequest, context: CallContext
  ) async throws -> DeleteEntryResponse {
    try await answer {
      let version = try await store.delete(
        try Name(request.name), condition: Condition(request.condition),
        request: try RequestKey(request.idempotencyKey), now: time.wallClockMicroseconds)
      return DeleteEntryResponse(version: version)
    }
  }

  /// Gives a file another name.
  package func renameEntry(
    _ request: RenameEntryRequest, context: CallContext
  ) async throws -> RenameEntryResponse {
    try await answer {
      let entry = try await store.rename(
        try Name(request.source), to: try Name(request.target),
        condition: Condition(request.condition), request: try RequestKey(request.idempotencyKey),
        now: time.wallClockMicroseconds)
      return RenameEntryResponse(entry: WireEntry(entry))
    }
  }

  /// Makes a second name for the same content.
  package func copyEntry(
    _ request: CopyEntryRequest, context: CallContext
  ) async throws -> CopyEntryResponse {
    try await answer {
      let entry = try await store.copy(
        try Name(request.source), to: try Name(request.target),
        condition: Condition(request.condition), request: try RequestKey(request.idempotencyKey),
        now: time.wallClockMicroseconds)
      return CopyEntryResponse(entry: WireEntry(entry))
    }
  }
}
