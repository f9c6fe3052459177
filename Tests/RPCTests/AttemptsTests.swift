import Schema
import Testing

@testable import RPC

@Suite("Attempts of a call")
struct AttemptsTests {
  private let failure = RPCError(.unavailable, "not now")

  private func pushed(_ seconds: Int64) -> RPCError {
    failure.with(
      Google_Rpc_RetryInfo(retryDelay: Google_Protobuf_Duration(seconds: seconds)))
  }

  @Test("wait twice as long each time, up to the longest wait, and a random part of that")
  func backoff() {
    var policy = AttemptPolicy.Retry()
    policy.maxAttempts = 100
    policy.firstBackoff = .milliseconds(100)
    policy.longestBackoff = .milliseconds(300)
    let waits = (1...5).map { policy.wait(after: $0, failure, random: 0.5) }
    #expect(
      waits == [.milliseconds(50), .milliseconds(100), .milliseconds(150), .milliseconds(150), nil])
    #expect(policy.wait(after: 1, RPCError(.internal, "broken"), random: 0) == nil)
  }

  @Test("wait as the server says, within reason")
  func pushback() {
    let policy = AttemptPolicy.Retry()
    #expect(policy.wait(after: 1, pushed(7), random: 0) == .seconds(7))
    #expect(policy.wait(after: 1, pushed(0), random: 0.5) == .zero)
    for seconds: Int64 in [-1, 61, .max, .min] {
      #expect(policy.wait(after: 1, pushed(seconds), random: 0) == nil)
    }
    #expect(policy.wait(after: 3, pushed(7), random: 0) == nil)
  }

  @Test("are bounded by tokens that failures take and successes give")
  func throttle() {
    var throttle = RetryThrottle(RetryBudget())
    for _ in 0..<4 { throttle.failed() }
    #expect(throttle.allowsRetry)
    throttle.failed()
    #expect(!throttle.allowsRetry)
    throttle.succeeded()
    #expect(throttle.allowsRetry)
    for _ in 0..<100 { throttle.failed() }
    for _ in 0..<49 { throttle.succeeded() }
    #expect(!throttle.allowsRetry)
    for _ in 0..<1_000 { throttle.succeeded() }
    for _ in 0..<4 { throttle.failed() }
    #expect(throttle.allowsRetry)
  }

  @Test("don't follow one that met a limit of this side")
  func ownLimit() {
    let limit = RPCError.beyondLimit("too large")
    let policy = AttemptPolicy.Retry()
    #expect(policy.wait(after: 1, RPCError(.resourceExhausted, "busy"), random: 0) != nil)
    #expect(policy.wait(after: 1, limit, random: 0) == nil)
    var call = hedged(3)
    _ = call.begin()
    #expect(call.failed(limit, allowed: true, timeLeft: nil) == .fail)
  }

  private func hedged(_ count: Int) -> HedgedCall {
    var policy = AttemptPolicy.Hedge(delay: .seconds(1))
    policy.maxAttempts = count
    return HedgedCall(policy)
  }

  @Test("of a hedged call begin one delay after another, up to the most")
  func hedging() {
    var call = hedged(3)
    #expect(call.begin() == .attempt(previous: 0))
    #expect(call.alarm == HedgedCall.Alarm(number: 1, after: .seconds(1)))
    #expect(call.rings(1, allowed: true) == .attempt(previous: 1))
    #expect(call.rings(1, allowed: true) == .wait)
    #expect(call.rings(2, allowed: true) == .attempt(previous: 2))
    #expect(call.alarm == nil)
    #expect(call.failed(failure, allowed: true, timeLeft: nil) == .wait)
    #expect(call.failed(failure, allowed: true, timeLeft: nil) == .wait)
    #expect(call.failed(failure, allowed: true, timeLeft: nil) == .fail)
  }

  @Test("of a hedged call follow a failure at once, unless it is for good or the server says no")
  func hedgingFailures() {
    var call = hedged(5)
    _ = call.begin()
    #expect(call.failed(failure, allowed: true, timeLeft: nil) == .attempt(previous: 1))
    #expect(call.rings(1, allowed: true) == .wait)
    #expect(call.failed(pushed(9), allowed: true, timeLeft: nil) == .wait)
    #expect(call.alarm == HedgedCall.Alarm(number: 3, after: .seconds(9)))
    #expect(call.rings(3, allowed: true) == .attempt(previous: 2))
    #expect(call.rings(4, allowed: true) == .attempt(previous: 3))
    #expect(call.failed(pushed(-1), allowed: true, timeLeft: nil) == .wait)
    #expect(call.rings(5, allowed: true) == .wait)
    #expect(call.failed(failure, allowed: true, timeLeft: nil) == .fail)
    var broken = hedged(5)
    _ = broken.begin()
    #expect(broken.failed(RPCError(.internal, "broken"), allowed: true, timeLeft: nil) == .fail)
  }

  @Test("of a hedged call aren't waited for beyond its deadline while none is under way")
  func hedgingDeadline() {
    var call = hedged(5)
    _ = call.begin()
    #expect(call.failed(pushed(9), allowed: true, timeLeft: .seconds(9)) == .fail)
    var other = hedged(5)
    _ = other.begin()
    #expect(other.failed(pushed(9), allowed: true, timeLeft: .milliseconds(9_001)) == .wait)
    #expect(other.rings(2, allowed: true) == .attempt(previous: 1))
    #expect(other.rings(3, allowed: true) == .attempt(previous: 2))
    // The other attempt may still succeed.
    #expect(other.failed(pushed(9), allowed: true, timeLeft: .seconds(1)) == .wait)
    #expect(other.failed(pushed(9), allowed: true, timeLeft: .seconds(1)) == .fail)
  }

  @Test("of a hedged call don't begin while the throttle forbids it")
  func hedgingThrottled() {
    var call = hedged(3)
    _ = call.begin()
    #expect(call.rings(1, allowed: false) == .wait)
    #expect(call.alarm == nil)
    #expect(call.failed(failure, allowed: false, timeLeft: nil) == .fail)
  }
}
