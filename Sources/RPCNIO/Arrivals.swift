internal import DequeModule
internal import RPC
internal import Synchronization

/// Connections that came in, in order, until somebody accepts them.
final class Arrivals: Sendable {
  /// Connections beyond this number that nobody accepts are closed at once.
  private static let maxWaiting = 1024

  private struct State {
    var waiting = Deque<SocketConnection>()
    var accepter: CheckedContinuation<SocketConnection?, any Error>?
    var isRefusing = false
    var isClosed = false
    /// Why it was closed, when nobody wanted that.
    var failure: RPCError?
  }
  private let state = Mutex(State())

  /// Adds a connection that is up.
  func add(_ connection: SocketConnection) {
    enum Outcome {
      case kept
      case refused
      case accepted(CheckedContinuation<SocketConnection?, any Error>)
    }
    let outcome: Outcome = state.withLock { state in
      if state.isRefusing || state.waiting.count >= Self.maxWaiting { return .refused }
      if let accepter = state.accepter.take() { return .accepted(accepter) }
      state.waiting.append(connection)
      return .kept
    }
    switch outcome {
    case .kept: break
    case .refused: connection.close()
    case .accepted(let accepter): accepter.resume(returning: connection)
    }
  }

  /// The next connection; nil once closed. One caller at a time.
  ///
  /// - Throws: `CancellationError`, or why nothing comes any more.
  func next() async throws -> SocketConnection? {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let result: Result<SocketConnection?, any Error>? = state.withLock { state in
          if Task.isCancelled { return .failure(CancellationError()) }
          if let first = state.waiting.popFirst() { return .success(first) }
          if let failure = state.failure { return .failure(failure) }
          if state.isClosed { return .success(nil) }
          precondition(state.accepter == nil, "one accept at a time")
          state.accepter = continuation
          return nil
        }
        if let result { continuation.resume(with: result) }
      }
    } onCancel: {
      state.withLock { $0.accepter.take() }?.resume(throwing: CancellationError())
    }
  }

  /// Closes what waits and what is still to come; whoever accepts goes on waiting for `close`.
  func refuse() {
    let waiting = state.withLock { state in
      state.isRefusing = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for connection in waiting { connection.close() }
  }

  /// Nothing comes any more: whoever accepts is told, with the failure if there was one.
  func close(_ failure: RPCError?) {
    refuse()
    let accepter = state.withLock { state in
      state.isClosed = true
      state.failure = failure
      return state.accepter.take()
    }
    if let failure {
      accepter?.resume(throwing: failure)
    } else {
      accepter?.resume(returning: nil)
    }
  }
}
