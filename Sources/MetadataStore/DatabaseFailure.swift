import GRDB
import StoreModel

extension StoreError {
  /// What a failure inside the database means to the caller.
  init(database error: any Error) {
    switch error {
    case let error as StoreError: self = error
    case let error as DatabaseError: self.init(failure: error)
    default: self.init(.internal, "the Directory's database failed: \(error)")
    }
  }

  /// Whether SQLite refuses a statement that it takes where the tables are what they were.
  private static func namesDamage(_ message: String?) -> Bool {
    guard let message else { return false }
    return message.hasPrefix("no such ") || message == "integer overflow"
  }

  private init(failure: DatabaseError) {
    let text = "\(failure.message ?? "no message") (SQLite \(failure.extendedResultCode.rawValue))"
    switch failure.resultCode {
    case .SQLITE_FULL:
      self.init(
        .resourceExhausted,
        "the Directory's disk is full: make room on it, then try again; nothing was changed")
    case .SQLITE_CORRUPT, .SQLITE_NOTADB:
      self = .damaged(text)
    case .SQLITE_CONSTRAINT, .SQLITE_MISMATCH:
      // Whoever writes has looked before: only rows that aren't what they were contradict it.
      self = .damaged("its rows contradict each other, \(text)")
    case .SQLITE_ERROR where Self.namesDamage(failure.message):
      self = .damaged(text)
    case .SQLITE_BUSY, .SQLITE_LOCKED:
      self.init(.aborted, "the Directory's database is locked by another process: \(text)")
    case .SQLITE_IOERR:
      self.init(.internal, "the Directory's disk failed, nothing was changed: \(text)")
    default:
      self.init(.internal, "the Directory's database failed: \(text)")
    }
  }
}
