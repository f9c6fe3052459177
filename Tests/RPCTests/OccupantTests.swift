import Testing

@testable import RPC

@Suite("A connection that comes to a server that has as many as it may")
struct OccupantTests {
  private func occupant(
    _ host: Substring, idle seconds: UInt64?, isLeaving: Bool = false
  ) -> Occupant {
    Occupant(
      host: host, idleSince: seconds.map { Instant(nanoseconds: 1_000_000 - $0) },
      isLeaving: isLeaving)
  }

  private func admission(
    _ host: Substring, _ others: [Occupant], limit: Int? = nil
  ) -> Occupant.Admission {
    Occupant.admission(of: host, beside: others, limit: limit ?? others.count)
  }

  @Test("takes the place of the one that has been idle longest")
  func longest() {
    let others = [occupant("a", idle: 1), occupant("b", idle: 9), occupant("c", idle: 5)]
    #expect(admission("d", others) == .displaces(1))
    #expect(admission("d", others, limit: 4) == .stays)
  }

  @Test("takes it from the host that has the most, however long others are idle")
  func most() {
    let others = [
      occupant("polite", idle: 900), occupant("greedy", idle: nil), occupant("greedy", idle: 2),
      occupant("greedy", idle: 3), occupant("polite", idle: 800),
    ]
    #expect(admission("new", others) == .displaces(3))
    #expect(admission("greedy", others) == .displaces(3))
  }

  @Test("takes none from a host that has fewer, nor from those that have calls")
  func refused() {
    let others = [
      occupant("greedy", idle: nil), occupant("greedy", idle: nil), occupant("polite", idle: 9),
    ]
    #expect(admission("greedy", others) == .isRefused)
    #expect(admission("new", others) == .displaces(2))
    #expect(admission("new", Array(others.prefix(2))) == .isRefused)
  }

  @Test("has the place of one that leaves, while not too many do")
  func leaving() {
    let leaving = occupant("a", idle: 99, isLeaving: true)
    let others = (0..<31).map { occupant("a", idle: $0) } + [leaving]
    #expect(admission("b", others, limit: 32) == .stays)
    #expect(admission("b", others + [leaving], limit: 31) == .isRefused)
    #expect(admission("b", others, limit: 31) == .isRefused)
    #expect(admission("b", others + [occupant("a", idle: 40)], limit: 32) == .displaces(32))
  }

  @Test("is left alone once it has a call or is about to leave")
  func displaced() {
    let connection = Connection(
      role: .server, bytes: StalledBytes(), peer: "[::1]:80",
      configuration: ConnectionConfiguration(), time: SystemTimeSource())
    _ = connection.received(PeerSettings().preface)
    #expect(connection.occupant.host == "[::1]")
    #expect(connection.occupant.idleSince != nil && !connection.occupant.isLeaving)
    expect(connection.displace())
    #expect(connection.closingError == nil, "it is told to leave")
    #expect(connection.occupant.isLeaving)
    expect(!connection.displace())
  }
}
