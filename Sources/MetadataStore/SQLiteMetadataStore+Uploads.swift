import GRDB
package import StoreModel
import Synchronization

extension SQLiteMetadataStore {
  package func leaseUploads(
    _ count: UInt64, now: Int64
  ) async throws(StoreError) -> Range<UploadID> {
    guard (1...UploadLeases.maxCount).contains(count) else {
      throw StoreError(
        .invalidArgument, "1 to \(UploadLeases.maxCount) uploads are leased at once, not \(count)")
    }
    // Twice is enough; more only when others take all of a block between its making and our turn.
    for _ in 0..<16 {
      if let ids = leases.withLock({ $0.lease(count, now: now) }) { return ids }
      let open = leases.withLock { $0.open }
      let last = open?.ids.lowerBound ?? firstOwnUpload - 1
      let block = try await writer.change { transaction in
        try transaction.reserveBlock(after: last, now: now)
      }
      leases.withLock { $0.opened(block) }
    }
    throw StoreError(.aborted, "too many uploads begin at once: try again")
  }

  package func checkUpload(_ upload: UploadID, now: Int64) async throws(StoreError) -> Int64 {
    try checkWasLeased(upload)
    return try await read { database in
      if let answer = try database.finishedUpload(upload) {
        throw StoreError(
          .preconditionFailed,
          "upload \(upload) was \(answer == .aborted ? "aborted" : "committed"): begin another")
      }
      return try database.checkLease(upload, now: now)
    }
  }

  package func commitUpload(
    _ commit: UploadCommit, now: Int64
  ) async throws(StoreError) -> Entry {
    try ManifestRules.check(commit.manifest, upload: commit.upload)
    try checkWasLeased(commit.upload)
    let content = commit.fingerprint
    return try await writer.change(to: "publish '\(commit.name)'") { transaction in
      try transaction.commit(commit, fingerprint: content, now: now)
    }
  }

  package func abortUpload(_ upload: UploadID, now: Int64) async throws(StoreError) {
    try checkWasLeased(upload)
    try await writer.change { transaction in
      switch try transaction.database.finishedUpload(upload) {
      case .aborted: return
      case .committed:
        throw StoreError(.preconditionFailed, "upload \(upload) was committed: delete its name")
      case nil: break
      }
      try transaction.database.checkLease(upload, now: now)
      try transaction.finish(upload, .aborted)
      try transaction.database.run(
        "INSERT INTO garbage (upload, since_us, chunks) VALUES (?, ?, NULL)", [upload.stored, now])
    }
  }

  /// Refuses an id that the open block still has in store.
  private func checkWasLeased(_ upload: UploadID) throws(StoreError) {
    let isUnused = leases.withLock { $0.isUnused(upload) }
    guard upload > 0, upload <= UInt64(Int64.max), !isUnused else {
      throw StoreError(.notFound, "upload \(upload) was never leased: begin one")
    }
  }
}

/// How an upload ended.
enum FinishedUpload: Equatable {
  case aborted
  case committed(fingerprint: Int64, version: UInt64, modifiedMicroseconds: Int64)

  /// No bytes for an aborted one: most rows are commits.
  var encoded: [UInt8] {
    guard case .committed(let fingerprint, let version, let modified) = self else { return [] }
    var writer = CompactWriter()
    writer.fixed(UInt32(truncatingIfNeeded: fingerprint))
    writer.fixed(UInt32(truncatingIfNeeded: fingerprint >> 32))
    writer.number(version)
    writer.signed(modified)
    return writer.bytes
  }

  init(_ bytes: [UInt8], upload: UploadID) throws(StoreError) {
    guard !bytes.isEmpty else {
      self = .aborted
      return
    }
    var reader = CompactReader(bytes)
    guard let low = reader.fixed(), let high = reader.fixed(), let version = reader.number(),
      let modified = reader.signed(), reader.isAtEnd
    else { throw StoreError.damaged("how upload \(upload) ended makes no sense") }
    self = .committed(
      fingerprint: Int64(bitPattern: UInt64(high) << 32 | UInt64(low)), version: version,
      modifiedMicroseconds: modified)
  }
}

extension UploadCommit {
  /// Tells this commit from another of the same upload.
  var fingerprint: Int64 {
    var writer = CompactWriter()
    writer.text(name.bucket)
    writer.text(name.key)
    writer.number(manifest.size)
    writer.fixed(manifest.checksum)
    writer.byte(manifest.storageClass.code)
    return (writer.bytes + ManifestCoding.encode(manifest.chunks)).fingerprint
  }
}

extension Database {
  /// The least id that was never reserved.
  func nextUpload() throws -> UploadID {
    let row = try first("SELECT max(end) AS end FROM upload_blocks")
    let end = try row?.optionalInteger(0, in: Row.uploads, of: "the newest block of uploads")
    return end?.unsigned ?? 1
  }

  func finishedUpload(_ upload: UploadID) throws -> FinishedUpload? {
    try first("SELECT answer FROM finished_uploads WHERE upload = ?", [upload.stored])
      .map { row in
        try FinishedUpload(row.bytes(0, of: "the end of upload \(upload)"), upload: upload)
      }
  }

  /// Refuses an upload that was never leased, or too long ago.
  ///
  /// Returns the microseconds that its lease lasts at least.
  @discardableResult
  func checkLease(_ upload: UploadID, now: Int64) throws -> Int64 {
    let block = try first(
      "SELECT end, closed_us FROM upload_blocks WHERE first <= ? ORDER BY first DESC LIMIT 1",
      [upload.stored])
    guard let block else {
      // Blocks are forgotten when all their leases have ended.
      let oldest = try first("SELECT min(first) FROM upload_blocks")?
        .optionalInteger(0, of: "the oldest block of uploads")
      guard let oldest, upload.stored < oldest else {
        throw StoreError(.notFound, "upload \(upload) was never leased: begin one")
      }
      throw Self.leaseEnded(upload)
    }
    let subject = "the block of uploads with upload \(upload)"
    let end = try block.integer(0, in: Row.uploads, of: subject)
    guard upload.stored < end else {
      throw StoreError(.notFound, "upload \(upload) was never leased: begin one")
    }
    let closed = try block.optionalInteger(1, in: Row.times, of: subject)
    guard !UploadLeases.isExpired(closed: closed, now: now) else { throw Self.leaseEnded(upload) }
    return (closed ?? now) - now + UploadLeases.leaseMicroseconds
  }

  private static func leaseEnded(_ upload: UploadID) -> StoreError {
    StoreError(.preconditionFailed, "the lease of upload \(upload) has ended: upload again")
  }
}

extension WriteTransaction {
  func finish(_ upload: UploadID, _ answer: FinishedUpload) throws {
    try database.run(
      "INSERT INTO finished_uploads (upload, answer) VALUES (?, ?)",
      [upload.stored, answer.encoded.stored])
  }

  /// Reserves the next ids and closes the blocks before; gives the newest block instead when another
  /// caller reserved one that begins after `last`.
  func reserveBlock(after last: UploadID, now: Int64) throws -> UploadLeases.Block {
    let newest = try database.first(
      "SELECT first, end, opened_us FROM upload_blocks WHERE closed_us IS NULL AND first > ? "
        + "ORDER BY first DESC LIMIT 1", [last.stored])
    if let newest {
      let subject = "the newest block of uploads"
      let first = try newest.integer(0, in: Row.uploads, of: subject)
      let end = try newest.integer(1, in: first...Row.uploads.upperBound, of: subject)
      return UploadLeases.Block(
        ids: first.unsigned..<end.unsigned,
        openedMicroseconds: try newest.integer(2, in: Row.times, of: subject))
    }
    let first = try database.nextUpload()
    let ids = first..<(first + UploadLeases.blockIDs)
    try database.run("UPDATE upload_blocks SET closed_us = ? WHERE closed_us IS NULL", [now])
    try forgetEndedUploads(before: now - UploadLeases.leaseMicroseconds)
    try database.run(
      "INSERT INTO upload_blocks (first, end, opened_us) VALUES (?, ?, ?)",
      [ids.lowerBound.stored, ids.upperBound.stored, now])
    return UploadLeases.Block(ids: ids, openedMicroseconds: now)
  }

  /// Forgets the answers of uploads whose leases have ended: a repeated commit is refused from then on.
  private func forgetEndedUploads(before time: Int64) throws {
    try database.run("DELETE FROM upload_blocks WHERE closed_us < ?", [time])
    try database.run(
      "DELETE FROM finished_uploads WHERE upload < (SELECT min(first) FROM upload_blocks)")
  }
}
