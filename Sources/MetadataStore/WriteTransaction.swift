import Foundation
import GRDB
import StoreModel

/// A transaction that is under way on the writing connection: what the changes are made with.
final class WriteTransaction {
  let database: Database
  private let firstVersion: UInt64
  private var version: UInt64

  init(_ database: Database) throws {
    self.database = database
    firstVersion = try database.lastVersion()
    version = firstVersion
  }

  /// A number greater than all before it.
  func nextVersion() -> UInt64 {
    version += 1
    return version
  }

  /// Makes the numbers that were given out durable with the rest.
  func finish() throws {
    guard version != firstVersion else { return }
    try database.run("UPDATE state SET version = ? WHERE id = 1", [version.stored])
  }

  /// Runs `body`; takes back what it did when it throws a `StoreError`.
  func savepoint<Result>(_ body: (WriteTransaction) throws -> Result) throws -> Result {
    try database.run("SAVEPOINT change")
    do {
      let result = try body(self)
      try database.run("RELEASE change")
      return result
    } catch let error as StoreError {
      try database.run("ROLLBACK TO change")
      try database.run("RELEASE change")
      throw error
    }
  }
}

extension Database {
  /// Runs a statement that returns nothing; the statement stays compiled.
  func run(_ sql: String, _ arguments: StatementArguments = []) throws {
    try cachedStatement(sql: sql).execute(arguments: arguments)
  }

  /// The first row; the statement stays compiled.
  func first(_ sql: String, _ arguments: StatementArguments = []) throws -> Row? {
    try Row.fetchOne(cachedStatement(sql: sql), arguments: arguments)
  }

  /// The highest version that was given out.
  func lastVersion() throws -> UInt64 {
    guard let row = try first("SELECT version FROM state WHERE id = 1") else {
      throw StoreError.damaged("its state is gone")
    }
    return try row.integer(0, in: Row.counts, of: "its state").unsigned
  }
}

extension UInt64 {
  /// As SQLite keeps it: the same bits, signed.
  var stored: Int64 { Int64(bitPattern: self) }
}

extension Int64 {
  /// The number that was stored.
  var unsigned: UInt64 { UInt64(bitPattern: self) }
}

extension Array<UInt8> {
  /// As GRDB takes bytes.
  var stored: Data { Data(self) }
}
