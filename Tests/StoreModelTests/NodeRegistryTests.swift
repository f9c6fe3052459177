import StoreModel
import Testing

@Suite("NodeRegistry")
struct NodeRegistryTests {
  static let second: Int64 = 1_000_000
  let id = NodeID(1)
  let record = NodeRecord(id: NodeID(1), address: "a:1", zone: "")

  func up() throws -> (NodeRegistry, UInt64) {
    var registry = NodeRegistry()
    #expect(
      registry.registered(record, statistics: NodeStatistics(), now: 0, wallClock: 5).isEmpty)
    let session = try registry.streamOpened(id)
    return (registry, session)
  }

  @Test("silence makes a node suspect after 10 s and dead after 60 s; a heartbeat brings it back")
  func silence() throws {
    var (registry, session) = try up()
    #expect(registry.tick(now: 10 * Self.second - 1).isEmpty)
    #expect(
      registry.tick(now: 10 * Self.second) == [NodeTransition(node: id, from: .up, to: .suspect)])
    #expect(registry.tick(now: 60 * Self.second - 1).isEmpty)
    #expect(
      registry.tick(now: 60 * Self.second) == [NodeTransition(node: id, from: .suspect, to: .dead)])
    #expect(registry.tick(now: 600 * Self.second).isEmpty)
    let back = try registry.heartbeat(
      id, session: session, statistics: NodeStatistics(), now: 601 * Self.second, wallClock: 9)
    #expect(back == [NodeTransition(node: id, from: .dead, to: .up)])
    #expect(registry[id]?.heardWallClockMicroseconds == 9)
    registry.checkInvariants()
  }

  @Test("a broken stream makes a node suspect at once, and dead 60 s after its last word")
  func brokenStream() throws {
    var (registry, session) = try up()
    _ = try registry.heartbeat(
      id, session: session, statistics: NodeStatistics(), now: 5 * Self.second, wallClock: 0)
    #expect(registry.streamEnded(id, session: session).map(\.to) == [.suspect])
    registry.checkInvariants()
    #expect(registry.tick(now: 64 * Self.second).isEmpty)
    #expect(registry.tick(now: 65 * Self.second).map(\.to) == [.dead])
  }

  @Test("the end of a stream that a newer one replaced means nothing")
  func replacedStream() throws {
    var (registry, old) = try up()
    let new = try registry.streamOpened(id)
    #expect(registry.streamEnded(id, session: old).isEmpty)
    #expect(registry[id]?.state == .up)
    #expect(throws: StoreError.self) {
      try registry.heartbeat(
        id, session: old, statistics: NodeStatistics(), now: 1, wallClock: 1)
    }
    #expect(registry.streamEnded(id, session: new).map(\.to) == [.suspect])
  }

  @Test("a node that leaves cleanly has 30 minutes")
  func cleanLeave() throws {
    var (registry, session) = try up()
    #expect(
      registry.left(id, session: session, now: Self.second, wallClock: 3).map(\.to) == [.suspect])
    #expect(registry.streamEnded(id, session: session).isEmpty)
    #expect(registry[id]?.leftWallClockMicroseconds == 3)
    #expect(registry.tick(now: 1_800 * Self.second).isEmpty)
    #expect(registry.tick(now: 1_801 * Self.second).map(\.to) == [.dead])
    registry.checkInvariants()
  }

  @Test("after a restart nodes are suspect until they are heard, with what is left of their grace")
  func restart() throws {
    var registry = NodeRegistry()
    let other = NodeRecord(id: NodeID(2), address: "b:1", zone: "z")
    registry.restore(other, heard: 1, left: nil, now: 0, wallClock: 1_000 * Self.second)
    registry.restore(
      record, heard: 1, left: 400 * Self.second, now: 0, wallClock: 1_000 * Self.second)
    #expect(registry.nodes.map(\.state) == [.suspect, .suspect])
    #expect(registry.nodes.map(\.record.id) == [id, NodeID(2)])
    registry.checkInvariants()
    #expect(registry.tick(now: 60 * Self.second).map(\.node) == [NodeID(2)])
    #expect(registry.tick(now: 1_199 * Self.second).isEmpty)
    #expect(registry.tick(now: 1_200 * Self.second).map(\.node) == [id])
  }

  @Test("a stranger's stream is refused")
  func stranger() {
    var registry = NodeRegistry()
    #expect(throws: StoreError.self) { try registry.streamOpened(NodeID(9)) }
    #expect(registry.streamEnded(NodeID(9), session: 0).isEmpty)
    #expect(registry.left(NodeID(9), session: 0, now: 0, wallClock: 0).isEmpty)
  }

  @Test("any order of events keeps the registry consistent", arguments: 0..<50)
  func anyOrder(seed: Int) throws {
    var bits = SeededBits(UInt64(seed))
    var registry = NodeRegistry()
    var now: Int64 = 0
    var sessions: [UInt64] = [0]
    for _ in 0..<300 {
      now += Int64(bits.next(below: 8)) * Self.second
      let id = NodeID(UInt64(bits.next(below: 4)))
      let session = sessions[bits.next(below: sessions.count)]
      switch bits.next(below: 6) {
      case 0:
        _ = registry.registered(
          NodeRecord(id: id, address: "x", zone: ""), statistics: NodeStatistics(), now: now,
          wallClock: now)
      case 1: if let opened = try? registry.streamOpened(id) { sessions.append(opened) }
      case 2:
        _ = try? registry.heartbeat(
          id, session: session, statistics: NodeStatistics(), now: now, wallClock: now)
      case 3: _ = registry.streamEnded(id, session: session)
      case 4: _ = registry.left(id, session: session, now: now, wallClock: now)
      default: _ = registry.tick(now: now)
      }
      registry.checkInvariants()
    }
  }
}
