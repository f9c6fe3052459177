import RPC
import StoreModel
import Testing

@testable import StoreClient

@Suite struct ReplicaSearchTests {
  private let members = route(1, 1, 2, 3).members

  private func search(index: UInt32 = 0, rounds: Int = 1) -> ReplicaSearch {
    ReplicaSearch(
      chunk: ChunkID(group: 1, upload: 1, index: index), rounds: rounds, retry: patient())
  }

  private func node(_ action: ReplicaSearch.Action) -> UInt64? {
    if case .read(let member) = action { member.node.value } else { nil }
  }

  @Test("each chunk begins with another member")
  func rotation() {
    let first = (UInt32(0)..<4).map { index in
      var search = search(index: index)
      return node(
        search.begin(members: members, now: moment(0), random: 0) { _ in false })
    }
    #expect(first == [1, 2, 3, 1])
  }

  @Test("members that failed lately come last")
  func shunnedLast() {
    var search = search()
    var order = [
      node(search.begin(members: members, now: moment(0), random: 0) { $0 == NodeID(1) })
    ]
    for _ in 0..<2 { order.append(node(search.failed(.missing, now: moment(0), random: 0))) }
    #expect(order == [2, 3, 1])
  }

  @Test("after all members failed the Directory is asked again, for as many rounds as there are")
  func rounds() {
    var search = search(rounds: 2)
    _ = search.begin(members: [members[0]], now: moment(0), random: 0) { _ in false }
    #expect(
      search.failed(.unreachable("away"), now: moment(0), random: 0) == .refresh(at: moment(50)))
    _ = search.begin(members: [members[1]], now: moment(50), random: 0) { _ in false }
    guard
      case .giveUp(let error) = search.failed(.unreachable("away"), now: moment(60), random: 0)
    else {
      Issue.record("it went on")
      return
    }
    #expect(error.code == .unavailable)
  }

  @Test("data is lost only when every member answered")
  func verdicts() {
    let failures: [([ReplicaSearch.Failure], StoreError.Code)] = [
      ([.damaged, .damaged, .missing], .dataLoss),
      ([.missing, .missing, .missing], .dataLoss),
      ([.damaged, .unreachable("away"), .damaged], .unavailable),
    ]
    for (kinds, code) in failures {
      var search = search()
      var action = search.begin(members: members, now: moment(0), random: 0) { _ in false }
      for kind in kinds { action = search.failed(kind, now: moment(0), random: 0) }
      guard case .giveUp(let error) = action else {
        Issue.record("it went on")
        continue
      }
      #expect(error.code == code)
    }
  }

  @Test("a group that nobody holds is tried again and then given up")
  func nobody() {
    var search = search(rounds: 1)
    guard
      case .giveUp = search.begin(members: [], now: moment(0), random: 0, isShunned: { _ in false })
    else {
      Issue.record("it went on")
      return
    }
  }
}
