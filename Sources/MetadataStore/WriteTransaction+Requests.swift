import GRDB
import StoreModel

/// A change of names as its caller asked for it: tells a repeated request from another.
enum NameChange: Sendable {
  case delete(Name, Condition)
  case rename(Name, Name, Condition)
  case copy(Name, Name, Condition)

  var fingerprint: Int64 {
    var writer = CompactWriter()
    let (kind, names, condition): (UInt8, [Name], Condition) =
      switch self {
      case .delete(let name, let condition): (0, [name], condition)
      case .rename(let source, let target, let condition): (1, [source, target], condition)
      case .copy(let source, let target, let condition): (2, [source, target], condition)
      }
    writer.byte(kind)
    for name in names {
      writer.text(name.bucket)
      writer.text(name.key)
    }
    switch condition {
    case .none: writer.byte(0)
    case .absent: writer.byte(1)
    case .version(let version):
      writer.byte(2)
      writer.number(version)
    }
    return writer.bytes.fingerprint
  }
}

extension WriteTransaction {
  /// How long an answer is remembered, in microseconds: an hour, longer than any client retries.
  static let requestMicroseconds: Int64 = 3_600_000_000
  /// The most answers that are remembered: bounds the table.
  static let maxRequests: Int64 = 100_000

  /// Makes a change once for each key: a key that was seen gives the first answer.
  ///
  /// - Throws: `preconditionFailed` when the key was used for another change.
  func once(
    _ key: RequestKey?, _ change: NameChange, now: Int64, _ body: () throws -> EntryValue
  ) throws -> EntryValue {
    guard let key else { return try body() }
    let fingerprint = change.fingerprint
    let known = try database.first(
      "SELECT fingerprint, answer FROM requests WHERE key = ?", [key.bytes.stored])
    if let known {
      let subject = "the answer to an earlier request"
      guard try known.integer(0, of: subject) == fingerprint else {
        throw StoreError(
          .preconditionFailed, "the idempotency key was used for another request: draw a new one")
      }
      return try EntryValue(decoding: known.bytes(1, of: subject), of: subject)
    }
    let answer = try body()
    try database.run(
      "INSERT INTO requests (key, fingerprint, since_us, answer) VALUES (?, ?, ?, ?)",
      [key.bytes.stored, fingerprint, now, answer.encoded.stored])
    // Two go for each that comes, so that the table shrinks to what it may hold.
    try database.run(
      "DELETE FROM requests WHERE id IN (SELECT id FROM requests ORDER BY id LIMIT 2) "
        + "AND (since_us < ? OR id <= ?)",
      [now - Self.requestMicroseconds, database.lastInsertedRowID - Self.maxRequests])
    return answer
  }
}
