import Synchronization

/// A wish to stop, seen at once by all who wait for it.
final class StopSignal: Sendable {
  private struct State {
    var isRequested = false
    var nextTicket = 0
    var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
  }

  private let state = Mutex(State())

  /// Whether somebody wishes it.
  var isRequested: Bool {
    state.withLock { $0.isRequested }
  }

  /// Wishes it; harmless when repeated.
  func request() {
    let waiting = state.withLock { state in
      state.isRequested = true
      defer { state.waiting = [:] }
      return state.waiting.sorted { $0.key < $1.key }.map(\.value)
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Returns when somebody wishes it, or at once when the task is cancelled.
  func wait() async {
    let ticket = state.withLock { state in
      state.nextTicket += 1
      return state.nextTicket
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          if state.isRequested || Task.isCancelled { return true }
          state.waiting[ticket] = continuation
          return false
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiting.removeValue(forKey: ticket) }?.resume()
    }
  }
}
