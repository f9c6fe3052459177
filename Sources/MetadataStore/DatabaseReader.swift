import GRDB
import StoreModel

/// A connection that only reads, beside the writer: each read sees one state of the database, with
/// every change that was acknowledged before it began.
actor DatabaseReader {
  private nonisolated let executor: any SerialExecutor
  private let connection: DatabaseQueue

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  init(_ connection: DatabaseQueue, executor: any SerialExecutor) {
    self.connection = connection
    self.executor = executor
  }

  func read<Result: Sendable>(
    _ body: @Sendable (Database) throws -> Result
  ) throws(StoreError) -> Result {
    do {
      return try connection.inDatabase { database in
        try database.run("BEGIN DEFERRED")
        do {
          let result = try body(database)
          try database.run("COMMIT")
          return result
        } catch {
          try? database.rollback()
          throw error
        }
      }
    } catch {
      throw StoreError(database: error)
    }
  }

  func close() {
    try? connection.close()
  }
}
