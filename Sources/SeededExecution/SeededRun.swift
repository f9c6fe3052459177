internal import Synchronization

/// A run of asynchronous code on the calling thread, in an order that a seed decides: without a clock,
/// for code that never sleeps.
package enum SeededRun {
  /// Why a run did not come to its end.
  package enum Failure: Error {
    /// It is not done and nothing can run: it waits for what can never come.
    case deadlock
    /// It ran more jobs than it may.
    case tooManySteps(Int)
    /// Work ran on another thread, this often.
    case escaped(times: Int)
  }

  /// Runs `body` and all its children to their end.
  ///
  /// - Throws: what `body` throws, or a `Failure`.
  package static func run<Value: Sendable>(
    seed: UInt64, maxSteps: Int = 10_000_000,
    _ body: @escaping @Sendable () async throws -> Value
  ) throws -> Value {
    let executor = SeededExecutor(seed: seed)
    let box = ResultBox<Value>()
    let root = Task(executorPreference: executor) {
      do {
        box.set(.success(try await body()))
      } catch {
        box.set(.failure(error))
      }
    }
    while executor.runOne() {
      guard executor.steps < maxSteps else {
        root.cancel()
        throw Failure.tooManySteps(maxSteps)
      }
    }
    guard executor.escapes == 0 else { throw Failure.escaped(times: executor.escapes) }
    guard let result = box.value else { throw Failure.deadlock }
    return try result.get()
  }

  /// Where the root task leaves its result for the thread that drives it.
  private final class ResultBox<Value: Sendable>: Sendable {
    private let box = Mutex<Result<Value, any Error>?>(nil)

    var value: Result<Value, any Error>? {
      box.withLock { $0 }
    }

    func set(_ result: Result<Value, any Error>) {
      box.withLock { $0 = result }
    }
  }
}
