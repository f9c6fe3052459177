internal import NIOCore
internal import Synchronization

/// One attempt to connect, whose caller may give up before the network answers.
final class ConnectAttempt: Sendable {
  private enum State {
    case idle
    case waiting(CheckedContinuation<SocketConnection, any Error>)
    case over
  }
  private let state = Mutex(State.idle)

  /// The connection that `future` brings.
  ///
  /// - Throws: what `future` fails with, or `CancellationError` at once when the task is cancelled; the
  ///   connection is closed then when it comes up late.
  func connection(_ future: EventLoopFuture<SocketConnection>) async throws -> SocketConnection {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let isOver = state.withLock { state in
          state = Task.isCancelled ? .over : .waiting(continuation)
          if case .over = state { return true }
          return false
        }
        if isOver { continuation.resume(throwing: CancellationError()) }
        future.whenComplete { self.settle($0) }
      }
    } onCancel: {
      finish()?.resume(throwing: CancellationError())
    }
  }

  private func settle(_ result: Result<SocketConnection, any Error>) {
    if let continuation = finish() {
      continuation.resume(with: result)
    } else if case .success(let connection) = result {
      connection.close()
    }
  }

  private func finish() -> CheckedContinuation<SocketConnection, any Error>? {
    state.withLock { state in
      guard case .waiting(let continuation) = state else { return nil }
      state = .over
      return continuation
    }
  }
}
