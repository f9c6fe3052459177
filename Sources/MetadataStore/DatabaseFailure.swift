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

  private init(failure: DatabaseError) {
    let text = "\(failure.message ?? "no message") (SQLite \(failure.extendedResultCode.rawValue))"
    switch failure.resultCode {
    case .SQLITE_FULL:
      self.init(
        .resourceExhausted,
        "the Directory's disk is full: make room on it, then try again; nothing was changed")
    case .SQLITE_CORRUPT, .SQLITE_NOTADB:
      self.init(
        .internal, "the Directory's database is damaged, restore it from a backup: \(text)")
    case .SQLITE_BUSY, .SQLITE_LOCKED:
      self.init(.aborted, "the Directory's database is locked by another process: \(text)")
    case .SQLITE_IOERR:
      self.init(.internal, "the Directory's disk failed, nothing was changed: \(text)")
    default:
      self.init(.internal, "the Directory's database failed: \(text)")
    }
  }
}
