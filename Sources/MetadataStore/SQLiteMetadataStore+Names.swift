import GRDB
package import StoreModel

extension SQLiteMetadataStore {
  package func file(_ name: Name) async throws(StoreError) -> StoredFile {
    try await read(to: "read '\(name)'") { database in
      guard let bucket = try database.bucket(name.bucket),
        let value = try database.value(bucket, name)
      else { throw StoreError.noSuchName(name) }
      return StoredFile(
        entry: value.entry(name),
        manifest: Manifest(
          size: value.size, checksum: value.checksum, storageClass: value.storageClass,
          chunks: try database.chunks(value)))
    }
  }

  package func delete(
    _ name: Name, condition: Condition, request: RequestKey?, now: Int64
  ) async throws(StoreError) -> UInt64 {
    guard condition != .absent else {
      throw StoreError(.invalidArgument, "what must be absent can't be deleted")
    }
    let change = NameChange.delete(name, condition)
    return try await writer.change(to: "delete '\(name)'") { transaction in
      let answer = try transaction.once(request, change, now: now) {
        try transaction.delete(name, condition: condition, now: now)
      }
      return answer.version
    }
  }

  package func rename(
    _ source: Name, to target: Name, condition: Condition, request: RequestKey?, now: Int64
  ) async throws(StoreError) -> Entry {
    let change = NameChange.rename(source, target, condition)
    return try await writer.change(to: "rename '\(source)' to '\(target)'") { transaction in
      try transaction.once(request, change, now: now) {
        try transaction.rename(source, to: target, condition: condition, now: now)
      }.entry(target)
    }
  }

  package func copy(
    _ source: Name, to target: Name, condition: Condition, request: RequestKey?, now: Int64
  ) async throws(StoreError) -> Entry {
    let change = NameChange.copy(source, target, condition)
    return try await writer.change(to: "copy '\(source)' to '\(target)'") { transaction in
      try transaction.once(request, change, now: now) {
        try transaction.copy(source, to: target, condition: condition, now: now)
      }.entry(target)
    }
  }
}

extension StoreError {
  static func noSuchName(_ name: Name) -> StoreError {
    StoreError(.notFound, "there is no file '\(name)'")
  }
}

extension Database {
  /// A bucket's row; nil when it was never written to.
  func bucket(_ name: String) throws -> Int64? {
    try first("SELECT id FROM buckets WHERE name = ?", [name])?
      .integer(0, of: "bucket '\(name)'")
  }

  /// What an entry's row says.
  func value(_ bucket: Int64, _ name: Name) throws -> EntryValue? {
    let row = try first(
      "SELECT value FROM entries WHERE bucket = ? AND key = ?",
      [bucket, Array(name.key.utf8).stored])
    guard let row else { return nil }
    func subject() -> String { EntryValue.subject(bucket: name.bucket, key: name.key) }
    return try EntryValue(decoding: row.bytes(0, of: subject()), of: subject())
  }

  /// The chunks that an entry leads to.
  func chunks(_ value: EntryValue) throws -> [Manifest.Chunk] {
    switch value.content {
    case .empty: return []
    case .single(let group, let upload):
      guard let length = UInt32(exactly: value.size) else {
        throw StoreError.damaged("the only chunk of upload \(upload) has \(value.size) bytes")
      }
      let id = ChunkID(group: group, upload: upload, index: 0)
      return [Manifest.Chunk(id: id, length: length, checksum: value.checksum)]
    case .shared(let upload):
      let row = try first("SELECT chunks FROM manifests WHERE upload = ?", [upload.stored])
      guard let row else {
        throw StoreError.damaged("the manifest of upload \(upload) is gone")
      }
      return try ManifestCoding.decode(
        row.bytes(0, of: "the manifest of upload \(upload)"), upload: upload)
    }
  }
}
