import GRDB
import StoreModel
import Synchronization

/// The only connection that writes: gathers the changes that wait into one transaction.
///
/// Each change has a savepoint and a result of its own; one fsync, that of the commit, serves all. A
/// caller first queues its change, then asks for the queue to be worked off: when that returns, the
/// change has its result, either by this caller's turn or by an earlier one's.
actor DatabaseWriter {
  /// The most changes of one transaction: bounds how long the first waits for the last.
  private static let maxBatch = 1_024

  private nonisolated let executor: any SerialExecutor
  private nonisolated let queue = Mutex<[any PendingChange]>([])
  private let connection: DatabaseQueue
  /// Transactions that were tried so far.
  private(set) var transactions = 0

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  init(_ connection: DatabaseQueue, executor: any SerialExecutor) {
    self.connection = connection
    self.executor = executor
  }

  /// Makes a change; on disk when this returns.
  ///
  /// - Parameters:
  ///   - action: what it is, such as "delete 'a'": the error of a damaged database says so.
  ///   - body: makes the change.
  /// - Returns: what `body` returned.
  /// - Throws: `StoreError`, that of `body` or of the database: then nothing was changed.
  nonisolated func change<Result: Sendable>(
    to action: @autoclosure () -> String,
    _ body: @escaping @Sendable (WriteTransaction) throws -> Result
  ) async throws(StoreError) -> Result {
    do {
      return try await change(body)
    } catch {
      throw error.whileTrying(to: action())
    }
  }

  /// Makes a change; on disk when this returns.
  nonisolated func change<Result: Sendable>(
    _ body: @escaping @Sendable (WriteTransaction) throws -> Result
  ) async throws(StoreError) -> Result {
    let change = Change(body)
    queue.withLock { $0.append(change) }
    await workOff()
    return try change.outcome()
  }

  /// Reads on this connection, for a database that has no other.
  func read<Result: Sendable>(
    _ body: @Sendable (Database) throws -> Result
  ) throws(StoreError) -> Result {
    do {
      return try connection.inDatabase(body)
    } catch {
      throw StoreError(database: error)
    }
  }

  func close() {
    try? connection.close()
  }

  private func workOff() {
    while true {
      let batch = queue.withLock { queue in
        let batch = Array(queue.prefix(Self.maxBatch))
        queue.removeFirst(batch.count)
        return batch
      }
      if batch.isEmpty { return }
      run(batch)
    }
  }

  /// Runs changes in one transaction; when that fails as a whole, each in one of its own, so that none
  /// suffers from another.
  private func run(_ batch: [any PendingChange]) {
    do {
      transactions += 1
      try connection.inDatabase { database in
        try database.inTransaction(.immediate) {
          let transaction = try WriteTransaction(database)
          for change in batch { try change.attempt(transaction) }
          try transaction.finish()
          return .commit
        }
      }
      for change in batch { change.finish() }
    } catch {
      guard batch.count > 1 else {
        batch[0].fail(StoreError(database: error))
        return
      }
      for change in batch { run([change]) }
    }
  }
}

/// A change that waits for its transaction.
private protocol PendingChange: Sendable {
  /// Makes the change, or takes it back and keeps its error.
  ///
  /// - Throws: when the whole transaction is lost.
  func attempt(_ transaction: WriteTransaction) throws
  /// The transaction is on disk: what was attempted is the outcome.
  func finish()
  /// The change was not made.
  func fail(_ error: StoreError)
}

private final class Change<Value: Sendable>: PendingChange {
  private let body: @Sendable (WriteTransaction) throws -> Value
  private let state = Mutex<(attempted: Result<Value, StoreError>?, isFinished: Bool)>((nil, false))

  init(_ body: @escaping @Sendable (WriteTransaction) throws -> Value) {
    self.body = body
  }

  func attempt(_ transaction: WriteTransaction) throws {
    let result: Result<Value, StoreError>
    do {
      result = .success(try transaction.savepoint(body))
    } catch let error as StoreError {
      result = .failure(error)
    }
    state.withLock { $0.attempted = result }
  }

  func finish() {
    state.withLock { $0.isFinished = true }
  }

  func fail(_ error: StoreError) {
    state.withLock { $0 = (.failure(error), true) }
  }

  func outcome() throws(StoreError) -> Value {
    let (attempted, isFinished) = state.withLock { $0 }
    guard isFinished, let attempted else {
      throw StoreError(.internal, "the Directory's database left a change undone")
    }
    return try attempted.get()
  }
}
