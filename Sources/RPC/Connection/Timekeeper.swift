internal import Synchronization

/// One alarm for many deadlines: wakes its owner at the earliest of them.
///
/// One task sleeps for all calls of a connection. Calls that end early leave the alarm as it is: it
/// rings once for nothing and is set anew.
final class Timekeeper: Sendable {
  private struct State {
    var alarm: Instant?
    var isStopped = false
    var isSignalled = false
    var waiter: UnsafeContinuation<Void, Never>?
  }

  private let time: any TimeSource
  private let state = Mutex(State())

  init(time: any TimeSource) {
    self.time = time
  }

  /// Rings at `instant` or earlier.
  func arm(_ instant: Instant) {
    signal { state in
      if let alarm = state.alarm, alarm <= instant { return false }
      state.alarm = instant
      return true
    }
  }

  /// Lets `run` return.
  func stop() {
    signal { state in
      state.isStopped = true
      return true
    }
  }

  /// Calls `ring` whenever the alarm is due, until `stop` or cancellation; `ring` gives the next one.
  func run(_ ring: (Instant) -> Instant?) async {
    await withTaskCancellationHandler {
      while true {
        let (alarm, isStopped) = state.withLock { state in
          state.isSignalled = false
          return (state.alarm, state.isStopped)
        }
        if isStopped { return }
        guard let alarm else {
          await wait()
          continue
        }
        let now = time.now
        guard alarm <= now else {
          await sleep(until: alarm)
          continue
        }
        state.withLock { $0.alarm = nil }
        if let next = ring(now) { arm(next) }
      }
    } onCancel: {
      stop()
    }
  }

  /// Returns at `alarm` or when the alarm was changed.
  private func sleep(until alarm: Instant) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        try? await self.time.sleep(until: alarm)
        self.signal { _ in true }
      }
      await wait()
      group.cancelAll()
    }
  }

  private func wait() async {
    await withUnsafeContinuation { continuation in
      let isSignalled = state.withLock { state in
        if !state.isSignalled { state.waiter = continuation }
        return state.isSignalled
      }
      if isSignalled { continuation.resume() }
    }
  }

  private func signal(_ change: (inout State) -> Bool) {
    let waiter = state.withLock { state -> UnsafeContinuation<Void, Never>? in
      guard change(&state) else { return nil }
      state.isSignalled = true
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }
}
