import Synchronization

/// Hands values from one task to one other, a few ahead at most: the giver waits while it is full.
final class PieceQueue<Element: Sendable>: Sendable {
  private struct State {
    var elements: [Element] = []
    /// No more will be put in.
    var isFinished = false
    /// Nobody takes or gives any more: what is in it is dropped.
    var isClosed = false
    var giver: CheckedContinuation<Void, Never>?
    var taker: CheckedContinuation<Void, Never>?
  }

  /// Who waits.
  private enum Side {
    case giver, taker
  }

  private let capacity: Int
  private let state = Mutex(State())

  /// Sets how many values may wait.
  init(capacity: Int) {
    precondition(capacity > 0, "a queue without room")
    self.capacity = capacity
  }

  /// Whether it was closed.
  var isClosed: Bool {
    state.withLock { $0.isClosed }
  }

  /// Puts a value in; waits while the queue is full. Drops it once the queue is closed.
  func put(_ element: Element) async {
    while true {
      let (isDone, taker) = state.withLock { state in
        if state.isClosed { return (true, nil as CheckedContinuation<Void, Never>?) }
        guard state.elements.count < capacity else { return (false, nil) }
        state.elements.append(element)
        defer { state.taker = nil }
        return (true, state.taker)
      }
      taker?.resume()
      if isDone { return }
      await wait(as: .giver) { $0.elements.count < self.capacity || $0.isClosed }
    }
  }

  /// The oldest value; waits for one. nil once it is finished and empty, or closed, which cancelling
  /// the task does.
  func next() async -> Element? {
    while true {
      let (element, isOver, giver) = state.withLock { state in
        let isOver = state.isClosed || (state.elements.isEmpty && state.isFinished)
        guard !isOver, !state.elements.isEmpty else {
          return (nil as Element?, isOver, nil as CheckedContinuation<Void, Never>?)
        }
        defer { state.giver = nil }
        return (state.elements.removeFirst(), false, state.giver)
      }
      giver?.resume()
      if element != nil || isOver { return element }
      await withTaskCancellationHandler {
        await wait(as: .taker) { !$0.elements.isEmpty || $0.isFinished || $0.isClosed }
      } onCancel: {
        close()
      }
    }
  }

  /// Says that no more values follow.
  func finish() {
    wake { $0.isFinished = true }
  }

  /// Ends it: nobody waits any more.
  func close() {
    wake {
      $0.isClosed = true
      $0.elements = []
    }
  }

  /// Changes the state and wakes both sides.
  private func wake(_ change: (inout State) -> Void) {
    let (giver, taker) = state.withLock { state in
      change(&state)
      defer {
        state.giver = nil
        state.taker = nil
      }
      return (state.giver, state.taker)
    }
    giver?.resume()
    taker?.resume()
  }

  /// Waits until the other side changes something, unless `isReady` already.
  private func wait(
    as side: Side, until isReady: @Sendable (State) -> Bool
  ) async {
    await withCheckedContinuation { continuation in
      let isReadyNow = state.withLock { state in
        if isReady(state) { return true }
        switch side {
        case .giver: state.giver = continuation
        case .taker: state.taker = continuation
        }
        return false
      }
      if isReadyNow { continuation.resume() }
    }
  }
}
