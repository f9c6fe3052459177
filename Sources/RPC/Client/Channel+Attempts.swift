internal import Schema
internal import Synchronization

// Calls that are made more than once: what `Attempts` decides is done here.

extension Channel {
  /// The metadata key by which an attempt says how many came before.
  static let previousAttempts = "previous-attempts"

  /// Makes a call until an attempt succeeds or none may follow.
  func retried<Request: Message, Response: Message>(
    _ method: Method<Request, Response>, _ request: Request, _ options: CallOptions,
    _ deadline: Instant?, _ policy: AttemptPolicy.Retry
  ) async throws -> UnaryResponse<Response> {
    var count = 0
    while true {
      let failure: RPCError
      do {
        let answer = try await attempt(method, request, options.after(count), deadline)
        _ = mayRetry(after: nil)
        return answer
      } catch let error as RPCError {
        failure = error
      }
      count += 1
      let random = Double(pool.random.next() >> 11) / Double(1 << 53)
      guard mayRetry(after: failure), !Task.isCancelled,
        let wait = policy.wait(after: count, failure, random: random)
      else { throw failure }
      let next = pool.time.now.advanced(by: wait)
      // What comes after the deadline can't succeed: the caller hears why it failed, and at once.
      if let deadline, next >= deadline { throw failure }
      do {
        try await pool.time.sleep(until: next)
      } catch {
        throw failure
      }
    }
  }

  /// Notes how an attempt went (nil: well); whether the throttle allows another one.
  private func mayRetry(after failure: RPCError?) -> Bool {
    state.withLock { state in
      if let failure {
        if failure.isSafeToRetry { state.throttle.failed() }
      } else {
        state.throttle.succeeded()
      }
      return state.throttle.allowsRetry
    }
  }

  private enum HedgeEvent<Response: Message>: Sendable {
    case ended(Result<UnaryResponse<Response>, any Error>)
    case alarm(Int)
  }

  /// Makes several attempts at once; the first good answer counts.
  func hedged<Request: Message, Response: Message>(
    _ method: Method<Request, Response>, _ request: Request, _ options: CallOptions,
    _ deadline: Instant?, _ policy: AttemptPolicy.Hedge
  ) async throws -> UnaryResponse<Response> {
    try await withThrowingTaskGroup(of: HedgeEvent<Response>.self) { group in
      defer { group.cancelAll() }
      var call = HedgedCall(policy)
      var step = call.begin()
      var alarm: HedgedCall.Alarm?
      var failure = RPCError(.internal, "no attempt of \(method.path) ended")
      while step != .fail {
        if case .attempt(let previous) = step {
          group.addTask {
            do {
              let options = options.after(previous)
              return .ended(
                .success(try await self.attempt(method, request, options, deadline)))
            } catch {
              return .ended(.failure(error))
            }
          }
        }
        if let next = call.alarm, next != alarm {
          let due = pool.time.now.advanced(by: next.after)
          group.addTask {
            try? await self.pool.time.sleep(until: due)
            return .alarm(next.number)
          }
        }
        alarm = call.alarm
        switch try await group.next() {
        case .ended(.success(let answer)):
          _ = mayRetry(after: nil)
          return answer
        case .ended(.failure(let error)):
          guard let error = error as? RPCError else { throw error }
          failure = error
          step = call.failed(
            error, allowed: mayRetry(after: error) && !Task.isCancelled,
            timeLeft: deadline.map { pool.time.now.duration(to: $0) })
        case .alarm(let number):
          step = call.rings(number, allowed: isRetryAllowed && !Task.isCancelled)
        case nil: step = .fail
        }
      }
      throw failure
    }
  }

  private var isRetryAllowed: Bool { state.withLock(\.throttle.allowsRetry) }
}

extension CallOptions {
  /// The options of an attempt that comes after `count` others.
  fileprivate func after(_ count: Int) -> CallOptions {
    guard count > 0 else { return self }
    var options = self
    options.metadata.append(Channel.previousAttempts, "\(count)")
    return options
  }
}
