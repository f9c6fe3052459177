import GRDB
import StoreModel

/// The most buckets: each costs a row and they are made without being asked for.
private let maxBuckets: Int64 = 100_000

extension WriteTransaction {
  /// Publishes what an upload stored.
  func commit(_ commit: UploadCommit, fingerprint: Int64, now: Int64) throws -> Entry {
    let manifest = commit.manifest
    var value = EntryValue(
      version: 0, modifiedMicroseconds: now, size: manifest.size, checksum: manifest.checksum,
      storageClass: manifest.storageClass, content: .empty)
    switch try database.finishedUpload(commit.upload) {
    case .committed(fingerprint, let version, let modified):
      value.version = version
      value.modifiedMicroseconds = modified
      return value.entry(commit.name)
    case .committed:
      throw StoreError(
        .alreadyExists,
        "upload \(commit.upload) was committed with another name or content: begin another")
    case .aborted:
      throw StoreError(
        .preconditionFailed, "upload \(commit.upload) was aborted: begin another")
    case nil: break
    }
    try database.checkLease(commit.upload, now: now)
    let bucket = try bucketForWriting(commit.name.bucket)
    let replaced = try database.value(bucket, commit.name)
    try commit.condition.check(replaced?.version, of: commit.name)
    try use(manifest)
    value.content = try store(manifest, upload: commit.upload)
    value.version = nextVersion()
    try put(value, replacing: replaced, bucket: bucket, name: commit.name, now: now)
    try finish(
      commit.upload,
      .committed(fingerprint: fingerprint, version: value.version, modifiedMicroseconds: now))
    return value.entry(commit.name)
  }

  /// Removes a name; its row as it was is the answer.
  func delete(_ name: Name, condition: Condition, now: Int64) throws -> EntryValue {
    let (bucket, value) = try existing(name)
    try condition.check(value.version, of: name)
    try remove(value, bucket: bucket, name: name)
    try drop(value, now: now)
    _ = nextVersion()
    return value
  }

  /// Moves a row to another name.
  func rename(
    _ source: Name, to target: Name, condition: Condition, now: Int64
  ) throws -> EntryValue {
    var (sourceBucket, value) = try existing(source)
    let bucket = try bucketForWriting(target.bucket)
    let replaced = try database.value(bucket, target)
    try condition.check(replaced?.version, of: target)
    if source == target { return value }
    try remove(value, bucket: sourceBucket, name: source)
    value.version = nextVersion()
    try put(value, replacing: replaced, bucket: bucket, name: target, now: now)
    return value
  }

  /// Makes a second row that leads to the same content.
  func copy(
    _ source: Name, to target: Name, condition: Condition, now: Int64
  ) throws -> EntryValue {
    var (sourceBucket, value) = try existing(source)
    let bucket = try bucketForWriting(target.bucket)
    let replaced = try database.value(bucket, target)
    try condition.check(replaced?.version, of: target)
    if source == target { return value }
    switch value.content {
    case .empty: break
    case .single(_, let upload):
      let chunks = ManifestCoding.encode(try database.chunks(value))
      try database.run(
        "INSERT INTO manifests (upload, names, chunks) VALUES (?, 2, ?)",
        [upload.stored, chunks.stored])
      value.content = .shared(upload: upload)
      try write(value, bucket: sourceBucket, name: source)
    case .shared(let upload):
      try database.run(
        "UPDATE manifests SET names = names + 1 WHERE upload = ?", [upload.stored])
    }
    value.version = nextVersion()
    value.modifiedMicroseconds = now
    try put(value, replacing: replaced, bucket: bucket, name: target, now: now)
    return value
  }

  private func existing(_ name: Name) throws -> (bucket: Int64, value: EntryValue) {
    guard let bucket = try database.bucket(name.bucket),
      let value = try database.value(bucket, name)
    else { throw StoreError.noSuchName(name) }
    return (bucket, value)
  }

  private func bucketForWriting(_ name: String) throws -> Int64 {
    if let known = try database.bucket(name) { return known }
    let count =
      try database.first("SELECT count(*) FROM buckets")?
      .integer(0, of: "the count of buckets") ?? 0
    guard count < maxBuckets else {
      throw StoreError(.resourceExhausted, "there are \(count) buckets already: use one of them")
    }
    try database.run("INSERT INTO buckets (name, entries, bytes) VALUES (?, 0, 0)", [name])
    return database.lastInsertedRowID
  }

  private func write(_ value: EntryValue, bucket: Int64, name: Name) throws {
    try database.run(
      "INSERT OR REPLACE INTO entries (bucket, key, value) VALUES (?, ?, ?)",
      [bucket, Array(name.key.utf8).stored, value.encoded.stored])
  }

  /// Writes a row; what it replaces loses its content.
  private func put(
    _ value: EntryValue, replacing replaced: EntryValue?, bucket: Int64, name: Name, now: Int64
  ) throws {
    try write(value, bucket: bucket, name: name)
    if let replaced { try drop(replaced, now: now) }
    let bytes = Int64(value.size) - Int64(replaced?.size ?? 0)
    try count(bucket, entries: replaced == nil ? 1 : 0, bytes: bytes)
  }

  /// Removes a row; its content stays.
  private func remove(_ value: EntryValue, bucket: Int64, name: Name) throws {
    try database.run(
      "DELETE FROM entries WHERE bucket = ? AND key = ?", [bucket, Array(name.key.utf8).stored])
    try count(bucket, entries: -1, bytes: -Int64(value.size))
  }

  private func count(_ bucket: Int64, entries: Int64, bytes: Int64) throws {
    try database.run(
      "UPDATE buckets SET entries = entries + ?, bytes = bytes + ? WHERE id = ?",
      [entries, bytes, bucket])
  }
}

extension Condition {
  /// Checks the condition against a name's present version; nil where there is no such name.
  func check(_ version: UInt64?, of name: Name) throws {
    switch (self, version) {
    case (.none, _), (.absent, nil): return
    case (.version(let wanted), let version?) where wanted == version: return
    case (.absent, _?):
      throw StoreError(.alreadyExists, "'\(name)' exists already")
    case (.version(let wanted), let version?):
      throw StoreError(
        .preconditionFailed, "'\(name)' has version \(version), not \(wanted): read it again")
    case (.version(let wanted), nil):
      throw StoreError(
        .preconditionFailed, "'\(name)' does not exist, so its version is not \(wanted)")
    }
  }
}
