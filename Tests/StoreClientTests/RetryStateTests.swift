import RPC
import Testing

@testable import StoreClient

@Suite struct RetryStateTests {
  private func state(deadline: UInt64) -> RetryState {
    RetryState(
      deadline: Instant(nanoseconds: deadline), firstDelay: .nanoseconds(100),
      maxDelay: .nanoseconds(400))
  }

  @Test("delays double up to the longest, and each is at least half of its bound")
  func doubling() {
    var state = state(deadline: .max)
    for bound: UInt64 in [100, 200, 400, 400] {
      for random: UInt64 in [0, .max] {
        var copy = state
        guard case .retry(let moment) = copy.failed(now: Instant(nanoseconds: 0), random: random)
        else {
          Issue.record("it gave up")
          return
        }
        #expect((bound / 2...bound).contains(moment.nanoseconds))
      }
      _ = state.failed(now: Instant(nanoseconds: 0), random: 7)
    }
  }

  @Test("no attempt begins after the deadline")
  func deadline() {
    var state = state(deadline: 1_000)
    #expect(state.failed(now: Instant(nanoseconds: 990), random: 0) == .giveUp)
  }

  @Test("a server that pushes back is left alone as long as it says, or for good")
  func pushback() {
    var state = state(deadline: 10_000)
    let now = Instant(nanoseconds: 1_000)
    #expect(
      state.failed(now: now, random: 0, pushback: .nanoseconds(5_000))
        == .retry(at: Instant(nanoseconds: 6_000)))
    for pushback in [Duration.seconds(-1), .seconds(315_360_000), .seconds(Int64.max)] {
      #expect(state.failed(now: now, random: 0, pushback: pushback) == .giveUp)
    }
    // Less than the usual delay changes nothing.
    guard case .retry(let moment) = state.failed(now: now, random: 0, pushback: .zero) else {
      Issue.record("it gave up")
      return
    }
    #expect(moment > now)
  }

  @Test("durations are counted in whole nanoseconds, negative ones as none")
  func nanoseconds() {
    #expect(Duration.milliseconds(5).wholeNanoseconds == 5_000_000)
    #expect(Duration.seconds(-1).wholeNanoseconds == 0)
  }
}
