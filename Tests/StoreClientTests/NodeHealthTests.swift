import RPC
import StoreModel
import Testing

@testable import StoreClient

@Suite struct NodeHealthTests {
  private let one = NodeID(1)
  private let two = NodeID(2)

  @Test("a node that failed is shunned until the penalty is over")
  func penalty() {
    var health = NodeHealth(penalty: .nanoseconds(100))
    health.failed(one, now: Instant(nanoseconds: 0))
    #expect(health.isShunned(one, now: Instant(nanoseconds: 99)))
    #expect(!health.isShunned(one, now: Instant(nanoseconds: 100)))
    #expect(!health.isShunned(two, now: Instant(nanoseconds: 50)))
  }

  @Test("a success makes up for a failure")
  func success() {
    var health = NodeHealth(penalty: .seconds(1))
    health.failed(two, now: Instant(nanoseconds: 0))
    health.failed(one, now: Instant(nanoseconds: 0))
    #expect(health.shunned(now: Instant(nanoseconds: 1)) == [one, two])
    health.succeeded(one)
    #expect(health.shunned(now: Instant(nanoseconds: 1)) == [two])
  }
}
