package import StoreModel

/// The Directory's database: names, manifests, leases of upload ids, nodes and placement groups.
///
/// Every change is a transaction: when a call returns, its effect is on disk; when it throws, it had
/// none. Reads see every change that was acknowledged before they began. Times are arguments, in
/// microseconds since 1970, so that the caller owns the clock.
///
/// Rows that can't be what was written are `StoreError.dataLoss`, which names them, whichever call meets
/// them; calls that don't need them go on.
package protocol MetadataStore: Sendable {
  /// The cluster this database belongs to, drawn when it was made: 32 hexadecimal digits.
  var cluster: String { get }

  // MARK: Uploads

  /// Leases `count` ids (1 to 1,024) that follow each other.
  func leaseUploads(_ count: UInt64, now: Int64) async throws(StoreError) -> Range<UploadID>
  /// Checks that an upload may go on.
  ///
  /// - Returns: the microseconds until its lease ends, or fewer.
  /// - Throws: `notFound` when the id was never leased, `preconditionFailed` when its lease has ended or
  ///   it was committed or aborted.
  func checkUpload(_ upload: UploadID, now: Int64) async throws(StoreError) -> Int64
  /// Publishes a name and its manifest. The same call again gives the first answer.
  ///
  /// - Throws: `invalidArgument` for a manifest that contradicts itself or names unknown groups;
  ///   `alreadyExists` when the name exists against the condition, or the upload was committed with
  ///   another content; `preconditionFailed` when the name's version is another, or the upload's lease
  ///   has ended; `notFound` when the id was never leased.
  func commitUpload(_ commit: UploadCommit, now: Int64) async throws(StoreError) -> Entry
  /// Gives up an upload: what it stored is garbage. Does nothing when that is so already.
  ///
  /// - Throws: `preconditionFailed` when it was committed, `notFound` when it was never leased.
  func abortUpload(_ upload: UploadID, now: Int64) async throws(StoreError)

  // MARK: Names

  /// A name's entry and manifest.
  ///
  /// - Throws: `notFound`.
  func file(_ name: Name) async throws(StoreError) -> StoredFile
  /// A page of names.
  func list(_ query: ListingQuery) async throws(StoreError) -> ListingPage
  /// Removes a name; returns the version that was removed.
  ///
  /// - Throws: `notFound`; `preconditionFailed` when the name's version is another.
  func delete(
    _ name: Name, condition: Condition, request: RequestKey?, now: Int64
  ) async throws(StoreError) -> UInt64
  /// Gives a file another name, which must satisfy the condition; the file there is replaced.
  ///
  /// - Throws: `notFound` for the source; `alreadyExists` or `preconditionFailed` for the target.
  func rename(
    _ source: Name, to target: Name, condition: Condition, request: RequestKey?, now: Int64
  ) async throws(StoreError) -> Entry
  /// Gives a file's manifest a second name; otherwise as `rename`.
  func copy(
    _ source: Name, to target: Name, condition: Condition, request: RequestKey?, now: Int64
  ) async throws(StoreError) -> Entry

  // MARK: Nodes and groups

  /// Every node that was ever registered, by rising id.
  func nodes() async throws(StoreError) -> [StoredNode]
  /// Remembers a node, or its new address, zone or times.
  func save(_ node: StoredNode) async throws(StoreError)
  /// Every group, by rising id.
  func groups() async throws(StoreError) -> [PlacementGroup]
  /// Makes the groups that `decide` asks for in view of all there are. One caller decides at a time, so
  /// that two of them don't make the same groups.
  ///
  /// - Returns: the new groups, on disk.
  func createGroups(
    _ storageClass: StorageClass,
    _ decide: @escaping @Sendable ([PlacementGroup]) throws(StoreError) -> [[NodeID]]
  ) async throws(StoreError) -> [PlacementGroup]

  // MARK: Figures

  /// How much there is, and what each group holds, by rising id.
  func figures() async throws(StoreError) -> StoreFigures
  /// What no name leads to any more, oldest upload first: at most `limit`, only after `upload`.
  func garbage(after upload: UploadID, limit: Int) async throws(StoreError) -> [Garbage]
}

/// What a client publishes at the end of an upload.
package struct UploadCommit: Sendable, Hashable {
  /// The upload whose chunks the manifest names.
  package var upload: UploadID
  /// Under which name.
  package var name: Name
  /// The content.
  package var manifest: Manifest
  /// What must be so for it to be done.
  package var condition: Condition

  /// Makes a commit.
  package init(upload: UploadID, name: Name, manifest: Manifest, condition: Condition = .none) {
    self.upload = upload
    self.name = name
    self.manifest = manifest
    self.condition = condition
  }
}

/// A caller's own name for one change, so that the change is done once however often it is sent.
///
/// Remembered for an hour, or until 100,000 others came.
package struct RequestKey: Sendable, Hashable {
  /// 16 bytes.
  package let bytes: [UInt8]

  /// Checks a key; nil for no bytes.
  ///
  /// - Throws: `StoreError.invalidArgument` when there are neither 16 bytes nor none.
  package init?(_ bytes: [UInt8]) throws(StoreError) {
    guard !bytes.isEmpty else { return nil }
    guard bytes.count == 16 else {
      throw StoreError(.invalidArgument, "an idempotency key has 16 bytes, this one \(bytes.count)")
    }
    self.bytes = bytes
  }
}

/// An entry with its content.
package struct StoredFile: Sendable, Hashable {
  /// The entry.
  package var entry: Entry
  /// The content.
  package var manifest: Manifest

  /// Makes a file.
  package init(entry: Entry, manifest: Manifest) {
    self.entry = entry
    self.manifest = manifest
  }
}

/// A node with what must outlive the Directory's process.
package struct StoredNode: Sendable, Hashable {
  /// Who it is.
  package var record: NodeRecord
  /// When it was last heard of when this was saved, in microseconds since 1970.
  package var heardMicroseconds: Int64
  /// When it left cleanly, in microseconds since 1970; nil when it didn't.
  package var leftMicroseconds: Int64?

  /// Makes a node.
  package init(record: NodeRecord, heardMicroseconds: Int64, leftMicroseconds: Int64? = nil) {
    self.record = record
    self.heardMicroseconds = heardMicroseconds
    self.leftMicroseconds = leftMicroseconds
  }
}

/// How much the store holds.
package struct StoreFigures: Sendable, Hashable {
  /// Entries in all buckets.
  package var entries: UInt64
  /// Bytes of all entries' files, one copy each.
  package var bytes: UInt64
  /// What each group holds, by rising id.
  package var groups: [GroupUsage]

  /// Makes figures.
  package init(entries: UInt64, bytes: UInt64, groups: [GroupUsage]) {
    self.entries = entries
    self.bytes = bytes
    self.groups = groups
  }
}

/// Chunks that no name leads to any more.
package struct Garbage: Sendable, Hashable {
  /// The upload that wrote them.
  package var upload: UploadID
  /// Since when, in microseconds since 1970.
  package var sinceMicroseconds: Int64
  /// Which; nil for an aborted upload, all of whose chunks are garbage, whichever it wrote.
  package var chunks: [ChunkID]?

  /// Makes a record of garbage.
  package init(upload: UploadID, sinceMicroseconds: Int64, chunks: [ChunkID]?) {
    self.upload = upload
    self.sinceMicroseconds = sinceMicroseconds
    self.chunks = chunks
  }
}
