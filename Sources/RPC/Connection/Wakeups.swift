/// Who goes on once the connection's lock is free: gathered under it, run after it.
struct Wakeups {
  private var continuations: [UnsafeContinuation<Void, Never>] = []
  private var cancelled: [Call] = []
  private var deed: (@Sendable () -> Void)?

  /// Resumes `continuation`, if there is one, and forgets it.
  mutating func resume(_ continuation: inout UnsafeContinuation<Void, Never>?) {
    guard let waiting = continuation else { return }
    continuations.append(waiting)
    continuation = nil
  }

  /// Cancels the task of a server's handler.
  mutating func cancelHandler(of call: Call) {
    if call.task == nil {
      call.mustCancel = true
    } else if !call.isCancelling {
      call.isCancelling = true
      cancelled.append(call)
    }
  }

  /// Runs `deed` besides.
  mutating func perform(_ deed: @escaping @Sendable () -> Void) {
    let earlier = self.deed
    self.deed = {
      earlier?()
      deed()
    }
  }

  /// Lets them all go on. Not under the lock.
  consuming func run() {
    for call in cancelled { call.connection.cancelTask(of: call) }
    deed?()
    for continuation in continuations { continuation.resume() }
  }
}
