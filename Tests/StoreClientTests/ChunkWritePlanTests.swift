import RPC
import StoreModel
import Testing

@testable import StoreClient

@Suite struct ChunkWritePlanTests {
  private func failure(_ node: UInt64, _ code: StatusCode) -> ChunkWritePlan.Failure {
    .init(node: NodeID(node), code: code, message: "no")
  }

  private func plan(
    _ index: UInt32 = 0, attempts: Int = 3, of storageClass: StorageClass = .replica3,
    retry: RetryState = patient()
  ) -> ChunkWritePlan {
    ChunkWritePlan(index: index, attempts: attempts, storageClass: storageClass, retry: retry)
  }

  private func code(of action: ChunkWritePlan.Action) -> StoreError.Code? {
    if case .giveUp(let error) = action { error.code } else { nil }
  }

  private let tooFew = StoreError(.unavailable, "too few nodes")

  @Test("chunks spread over the groups by their place")
  func spread() {
    let groups = [route(1, 1, 2, 3), route(2, 2, 3, 1)]
    for index: UInt32 in 0..<4 {
      var plan = plan(index)
      #expect(
        plan.offered(groups, now: moment(0), random: 0) == .send(groups[Int(index) % 2]))
    }
  }

  @Test("after a failure other groups are asked for at once, without the nodes at fault")
  func avoids() {
    var plan = plan()
    _ = plan.offered([route(1, 1, 2)], now: moment(0), random: 0)
    #expect(
      plan.failed([failure(2, .unavailable)], now: moment(1), random: 0)
        == .askForGroups(avoid: [NodeID(2)], at: nil))
    #expect(plan.offered([route(2, 1, 3)], now: moment(2), random: 0) == .send(route(2, 1, 3)))
    #expect(
      plan.failed([failure(1, .resourceExhausted)], now: moment(3), random: 0)
        == .askForGroups(avoid: [NodeID(1), NodeID(2)], at: moment(53)))
  }

  @Test("it gives up when too few of the nodes that are up have not said that they are full")
  func full() {
    let up = [1, 2, 3].map { NodeID($0) }
    var plan = plan()
    _ = plan.offered([route(1, 1, 2, 3)], now: moment(0), random: 0)
    #expect(
      plan.failed([1, 2, 3].map { failure($0, .resourceExhausted) }, now: moment(1), random: 0)
        == .askForGroups(avoid: up, at: nil))
    #expect(plan.refused(tooFew, now: moment(2), random: 0) == .askForNodes)
    #expect(code(of: plan.found(up: up, now: moment(3), random: 0)) == .resourceExhausted)
    // Another node is up that has not been asked, and may be alone.
    var single = self.plan(of: .replica2)
    _ = single.offered([route(1, 1, 2)], now: moment(0), random: 0)
    _ = single.failed(
      [1, 2].map { failure($0, .resourceExhausted) }, now: moment(1), random: 0)
    _ = single.refused(tooFew, now: moment(2), random: 0)
    #expect(
      single.found(up: up, now: moment(3), random: 0)
        == .askForGroups(avoid: [NodeID(1), NodeID(2)], at: moment(53)))
  }

  @Test("a node that failed in another way, or is away, is waited for although others are full")
  func hope() {
    let up = [1, 2, 3].map { NodeID($0) }
    var plan = plan()
    _ = plan.offered([route(1, 1, 2, 3)], now: moment(0), random: 0)
    _ = plan.failed(
      [failure(1, .resourceExhausted), failure(2, .unavailable)], now: moment(1), random: 0)
    #expect(plan.refused(tooFew, now: moment(2), random: 0) == .askForNodes)
    #expect(
      plan.found(up: up, now: moment(2), random: 0)
        == .askForGroups(avoid: [NodeID(1)], at: moment(52)))
    _ = plan.offered([route(2, 2, 3)], now: moment(52), random: 0)
    _ = plan.failed([failure(2, .resourceExhausted)], now: moment(53), random: 0)
    #expect(plan.refused(tooFew, now: moment(54), random: 0) == .askForNodes)
    // Too few are up, full or not: they may come back.
    #expect(code(of: plan.found(up: [NodeID(1)], now: moment(55), random: 0)) == nil)
    // The Directory is away: it may know better when it is back.
    #expect(code(of: plan.found(up: nil, now: moment(56), random: 0)) == nil)
  }

  @Test("the Directory's word that the others are full counts when no node failed in another way")
  func fullByTheDirectory() {
    let full = StoreError(.resourceExhausted, "2 of 3 nodes are full")
    var plan = plan()
    _ = plan.offered([route(1, 1, 2, 3)], now: moment(0), random: 0)
    _ = plan.failed([failure(1, .unavailable)], now: moment(1), random: 0)
    #expect(
      plan.refused(full, now: moment(2), random: 0) == .askForGroups(avoid: [], at: moment(52)))
    #expect(code(of: plan.refused(full, now: moment(53), random: 0)) == .resourceExhausted)
  }

  @Test("attempts that all ended at full nodes say so")
  func fullAttempts() {
    var plan = plan(attempts: 1)
    _ = plan.offered([route(1, 1)], now: moment(0), random: 0)
    let action = plan.failed([failure(1, .resourceExhausted)], now: moment(1), random: 0)
    #expect(code(of: action) == .resourceExhausted)
  }

  @Test("an epoch that is out of date is not the node's fault")
  func staleEpoch() {
    var plan = plan()
    _ = plan.offered([route(1, 1, 2)], now: moment(0), random: 0)
    #expect(
      plan.failed([failure(1, .failedPrecondition)], now: moment(1), random: 0)
        == .askForGroups(avoid: [], at: nil))
  }

  @Test("when there are no groups without the failed nodes, these get another chance after a pause")
  func refused() {
    var plan = plan()
    _ = plan.offered([route(1, 1, 2)], now: moment(0), random: 0)
    _ = plan.failed([failure(2, .unavailable)], now: moment(1), random: 0)
    #expect(
      plan.refused(tooFew, now: moment(2), random: 0)
        == .askForGroups(avoid: [], at: moment(52)))
    #expect(plan.offered([route(1, 1, 2)], now: moment(52), random: 0) == .send(route(1, 1, 2)))
  }

  @Test("it gives up after its attempts, and says what failed last")
  func attempts() {
    var plan = plan(5, attempts: 1)
    _ = plan.offered([route(1, 1)], now: moment(0), random: 0)
    guard
      case .giveUp(let error) = plan.failed([failure(1, .unavailable)], now: moment(1), random: 0)
    else {
      Issue.record("it went on")
      return
    }
    #expect(error.code == .unavailable)
    #expect(error.message.contains("chunk 5"))
    #expect(error.message.contains(NodeID(1).description))
  }

  @Test("it gives up when the Directory has no groups until the deadline")
  func deadline() {
    let retry = RetryState(
      deadline: moment(10), firstDelay: .nanoseconds(100), maxDelay: .nanoseconds(100))
    var plan = plan(retry: retry)
    guard case .giveUp = plan.offered([], now: moment(0), random: 0) else {
      Issue.record("it went on")
      return
    }
  }
}
