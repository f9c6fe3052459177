import RPC
import StoreModel
import Testing

@testable import StoreClient

@Suite struct ChunkWritePlanTests {
  private func failure(_ node: UInt64, _ code: StatusCode) -> ChunkWritePlan.Failure {
    .init(node: NodeID(node), code: code, message: "no")
  }

  @Test("chunks spread over the groups by their place")
  func spread() {
    let groups = [route(1, 1, 2, 3), route(2, 2, 3, 1)]
    for index: UInt32 in 0..<4 {
      var plan = ChunkWritePlan(index: index, attempts: 3, retry: patient())
      #expect(
        plan.offered(groups, now: moment(0), random: 0) == .send(groups[Int(index) % 2]))
    }
  }

  @Test("after a failure other groups are asked for at once, without the nodes at fault")
  func avoids() {
    var plan = ChunkWritePlan(index: 0, attempts: 3, retry: patient())
    _ = plan.offered([route(1, 1, 2)], now: moment(0), random: 0)
    #expect(
      plan.failed([failure(2, .unavailable)], now: moment(1), random: 0)
        == .askForGroups(avoid: [NodeID(2)], at: nil))
    #expect(plan.offered([route(2, 1, 3)], now: moment(2), random: 0) == .send(route(2, 1, 3)))
    #expect(
      plan.failed([failure(1, .resourceExhausted)], now: moment(3), random: 0)
        == .askForGroups(avoid: [NodeID(1), NodeID(2)], at: moment(53)))
  }

  @Test("an epoch that is out of date is not the node's fault")
  func staleEpoch() {
    var plan = ChunkWritePlan(index: 0, attempts: 3, retry: patient())
    _ = plan.offered([route(1, 1, 2)], now: moment(0), random: 0)
    #expect(
      plan.failed([failure(1, .failedPrecondition)], now: moment(1), random: 0)
        == .askForGroups(avoid: [], at: nil))
  }

  @Test("when there are no groups without the failed nodes, these get another chance after a pause")
  func refused() {
    var plan = ChunkWritePlan(index: 0, attempts: 3, retry: patient())
    _ = plan.offered([route(1, 1, 2)], now: moment(0), random: 0)
    _ = plan.failed([failure(2, .unavailable)], now: moment(1), random: 0)
    #expect(
      plan.refused("too few nodes", now: moment(2), random: 0)
        == .askForGroups(avoid: [], at: moment(52)))
    #expect(plan.offered([route(1, 1, 2)], now: moment(52), random: 0) == .send(route(1, 1, 2)))
  }

  @Test("it gives up after its attempts, and says what failed last")
  func attempts() {
    var plan = ChunkWritePlan(index: 5, attempts: 1, retry: patient())
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
    var plan = ChunkWritePlan(index: 0, attempts: 3, retry: retry)
    guard case .giveUp = plan.offered([], now: moment(0), random: 0) else {
      Issue.record("it went on")
      return
    }
  }
}
