import NIOCore
import Schema
import StoreProtocol
import Testing

@testable import RPC

@Suite("credit")
struct CreditTests {
  @Test("is granted when the application took a message, not when it came")
  func grantsAfterTaking() throws {
    var settings = PeerSettings()
    settings.callWindow = 65_536
    settings.connectionWindow = 131_072
    var server = try Peer.with(calls: 1, .server, settings: settings)
    let piece = Frames.frame(
      .message, 1, [.message], body: [UInt8](repeating: 0, count: 16_384 - 64))
    for _ in 0..<4 { try server.feed(piece) }
    expect(server.windows().isEmpty)
    server.machine.consumed(1, cost: 16_384)
    expect(server.windows().isEmpty, "a quarter isn't worth a frame")
    server.machine.consumed(1, cost: 16_384)
    expect(server.windows() == [1: 65_536 + 32_768])
    expect(server.windows().isEmpty, "told once")
    server.machine.consumed(1, cost: 32_768)
    expect(server.windows() == [0: 131_072 + 65_536, 1: 131_072])
  }

  @Test("is granted while a message isn't whole, so that a large one gets through")
  func grantsInsideMessages() throws {
    var settings = PeerSettings()
    settings.callWindow = 65_536
    settings.connectionWindow = 65_536
    var server = try Peer.with(calls: 1, .server, settings: settings)
    let bytes = [UInt8](repeating: 7, count: 16_000)
    var limit: UInt64 = 65_536
    var sent: UInt64 = 0
    for number in 0..<100 {
      let frame =
        number == 0
        ? Frames.frame(.message, 1, [.message, .moreBody], body: bytes)
        : Frames.frame(.body, 1, number == 99 ? [] : .moreBody, body: bytes)
      sent += 16_064
      try #require(sent <= limit, "no credit for the next piece")
      let actions = try server.feed(frame)
      if number == 99 {
        guard case .message(1, let message?, isEnded: false)? = actions.last else {
          Issue.record("\(actions)")
          return
        }
        expect(message.body.count == 1_600_000)
      }
      let windows = server.windows()
      if let call = windows[1] { limit = call }
      expect(windows[0] == windows[1])
    }
    expect(server.machine.incoming.held == sent)
    server.machine.consumed(1, cost: sent)
    if let call = server.windows()[1] { limit = call }
    expect(limit >= sent + 65_536 / 2, "at least half a window is free once all is taken")
  }

  @Test("books a frame, what is held and a limit")
  func incoming() {
    var credit = IncomingCredit(window: 100)
    expect(credit.receive(100))
    expect(!credit.receive(1))
    expect(!credit.receive(.max))
    credit.hold(60)
    expect(credit.due == nil)
    credit.release(20)
    expect(credit.due == 160)
    expect(credit.grant(now: now, roundTrip: nil, largest: 100) == 160)
    expect(credit.due == nil)
    expect(credit.grant(now: now, roundTrip: nil, largest: 100) == nil)
    expect(credit.receive(60))
  }

  private let now = Instant(nanoseconds: 1_000_000_000)

  /// The windows of a credit whose reader takes half of it each time that long after the time before.
  private func windows(
    every pause: Duration, roundTrip: Duration?, count: Int
  ) -> [UInt64] {
    var credit = IncomingCredit(window: 100)
    return (0..<count).map { number in
      let half = (credit.window + 1) / 2
      expect(credit.receive(half))
      credit.hold(half)
      credit.release(half)
      let limit = credit.grant(
        now: now.advanced(by: pause * number), roundTrip: roundTrip, largest: 500)
      expect(limit == credit.received + credit.window)
      return credit.window
    }
  }

  @Test("grows to a bound while half of it is taken in less than two round trips")
  func growth() {
    let trip = Duration.milliseconds(10)
    #expect(windows(every: trip, roundTrip: trip, count: 5) == [100, 200, 400, 500, 500])
    #expect(windows(every: trip * 2, roundTrip: trip, count: 5) == [100, 100, 100, 100, 100])
    #expect(windows(every: .zero, roundTrip: nil, count: 3) == [100, 100, 100])
  }

  @Test("doesn't grow beyond a window that is larger than the bound")
  func growthBound() {
    var credit = IncomingCredit(window: 1_000)
    for number in 0..<4 {
      expect(credit.receive(500))
      expect(
        credit.grant(now: now, roundTrip: .seconds(1), largest: 500) != nil, "grant \(number)")
      expect(credit.window == 1_000)
    }
  }

  @Test("of a call whose window has grown leaves the other calls some")
  func shares() throws {
    var settings = PeerSettings()
    settings.callWindow = 65_536
    settings.connectionWindow = 131_072
    var server = try Peer.with(calls: 2, .server, settings: settings)
    let first = server.machine.takePing(now: server.now)
    let ping = try #require(first)
    server.now = server.now.advanced(by: .milliseconds(100))
    try server.feed(Frames.frame(.ping, 0, .ack, message: Frames.number(ping)))
    func piece(_ id: UInt32) -> ByteBuffer {
      Frames.frame(.message, id, [.message], body: [UInt8](repeating: 0, count: 16_384 - 64))
    }
    // Half of the call's window is taken in less than two round trips, half of the connection's isn't.
    for _ in 0..<12 {
      try server.feed(piece(1))
      server.machine.consumed(1, cost: 16_384)
      server.now = server.now.advanced(by: .milliseconds(75))
      _ = server.windows()
    }
    let call = try #require(server.machine.calls[1]).incoming
    #expect(call.window == 131_072)
    #expect(server.machine.incoming.window >= 4 * call.window)
    // Its reader pauses.
    for _ in 0..<((call.limit - call.received) / 16_384) {
      let left = server.machine.incoming.limit - server.machine.incoming.received
      if left >= 16_384 { try server.feed(piece(1)) }
      _ = server.windows()
    }
    let left = server.machine.incoming.limit - server.machine.incoming.received
    try #require(left >= 65_536, "\(left) are left for the other call")
    for _ in 0..<4 { try server.feed(piece(3)) }
  }

  @Test("measures the line by pings that are rare, and by the shortest answer")
  func roundTrip() throws {
    var server = try Peer(.server)
    let first = server.machine.takePing(now: server.now)
    let ping = try #require(first)
    expect(server.machine.takePing(now: server.now.advanced(by: .seconds(9))) == nil)
    func answer(_ ping: UInt64, after time: Duration) throws {
      server.now = server.now.advanced(by: time)
      try server.feed(Frames.frame(.ping, 0, .ack, message: Frames.number(ping)))
    }
    try answer(ping + 1, after: .milliseconds(1))
    expect(server.machine.roundTrip.least == nil)
    try answer(ping, after: .milliseconds(5))
    expect(server.machine.roundTrip.least == .milliseconds(6))
    try answer(ping, after: .milliseconds(0))
    expect(server.machine.roundTrip.least == .milliseconds(6))
    for (milliseconds, least) in [(9, 6), (4, 4)] {
      server.now = server.now.advanced(by: .seconds(10))
      let next = server.machine.takePing(now: server.now)
      try answer(try #require(next), after: .milliseconds(milliseconds))
      expect(server.machine.roundTrip.least == .milliseconds(least))
    }
  }

  @Test("isn't measured more often than the peer allows")
  func rarePings() throws {
    var remote = PeerSettings()
    remote.minPingIntervalMilliseconds = 60_000
    var client = try Peer(.client, remote: remote)
    expect(client.machine.takePing(now: now) != nil)
    expect(client.machine.takePing(now: now.advanced(by: .seconds(59))) == nil)
    expect(client.machine.takePing(now: now.advanced(by: .seconds(60))) != nil)
  }

  @Test("rises and never falls")
  func outgoing() {
    var credit = OutgoingCredit(limit: 10)
    credit.send(10)
    expect(credit.available == 0)
    expect(!credit.raise(to: 5))
    expect(!credit.raise(to: 10))
    expect(credit.raise(to: 12))
    expect(credit.available == 2)
  }
}

@Suite("the outbox")
struct OutboxTests {
  /// Sends a message in a call of a client; what became of it.
  private func send(
    _ outbox: inout Outbox, _ client: inout Peer, _ id: UInt32, body: Int,
    type: FrameType = .message
  ) throws -> Outbox.Sending {
    let request = EchoRequest(
      payload: [1], data: Body(ByteBuffer(repeating: 5, count: body)))
    return try outbox.send(
      request, Outbox.Purpose(type: type, call: id, hasRoom: true), &client.machine
    ) { CallOpening(method: type == .call ? "/a.B/C" : "").encode(into: &$0) }
  }

  /// What a server makes of everything in the outbox: the streams and lengths of its frames.
  private func frames(_ outbox: inout Outbox) throws -> [(UInt32, FrameType, Int)] {
    var decoder = FrameDecoder(settings: PeerSettings())
    _ = try decoder.events(of: PeerSettings().preface)
    return try decoder.events(of: ByteBuffer(joining: outbox.take())).compactMap { event in
      guard case .frame(let header, _, _) = event else { return nil }
      return (header.stream, header.type, header.payloadLength)
    }
  }

  @Test("cuts large bodies and takes the calls in turn")
  func takesTurns() throws {
    var client = try Peer.with(calls: 3, .client)
    var outbox = Outbox()
    expect(try send(&outbox, &client, 1, body: 3 << 20) == .waits)
    expect(try send(&outbox, &client, 3, body: 600_000) == .waits)
    expect(outbox.fill(&client.machine, budget: 100) == [])
    var seen = try frames(&outbox)
    expect(seen.map(\.0) == [1])
    var done: [UInt32] = []
    while outbox.hasPending {
      done += outbox.fill(&client.machine, budget: 1)
      seen += try frames(&outbox)
    }
    expect(done == [3, 1])
    expect(seen.prefix(6).map(\.0) == [1, 3, 1, 3, 1, 3])
    expect(seen.allSatisfy { $0.2 <= 1 << 20 })
    expect(seen.filter { $0.0 == 1 }.reduce(0) { $0 + $1.2 } > 3 << 20)
    client.machine.checkInvariants()
  }

  @Test("waits for credit and goes on when there is more, whoever else is stuck")
  func waitsForCredit() throws {
    var remote = PeerSettings()
    remote.callWindow = 65_536
    var client = try Peer.with(calls: 2, .client, remote: remote)
    var outbox = Outbox()
    expect(try send(&outbox, &client, 1, body: 200_000) == .waits)
    expect(try send(&outbox, &client, 3, body: 60_000) == .waits, "behind one that waits")
    expect(outbox.pendingBytes > 260_000)
    expect(outbox.fill(&client.machine, budget: 1 << 30) == [3])
    expect(client.machine.credit(1) ?? .max < 16_384)
    expect(outbox.pendingBytes > 200_000 - 65_536 && outbox.pendingBytes < 200_000)
    try client.feed(Frames.frame(.window, 1, message: Frames.number(1 << 30)))
    expect(outbox.fill(&client.machine, budget: 1 << 30) == [1])
    expect(!outbox.hasPending && outbox.pendingBytes == 0)
    expect(try frames(&outbox).allSatisfy { $0.2 <= 256 << 10 })
  }

  @Test("lets a call go ahead of a message that has to wait, so that ids rise")
  func callsLeaveAtOnce() throws {
    var remote = PeerSettings()
    remote.callWindow = 65_536
    var client = try Peer(.client, remote: remote)
    var outbox = Outbox()
    expect(client.machine.openCall() == 1)
    expect(try send(&outbox, &client, 1, body: 100_000, type: .call) == .waits)
    expect(client.machine.openCall() == 3)
    expect(try send(&outbox, &client, 3, body: 10, type: .call) == .sent)
    _ = outbox.fill(&client.machine, budget: 1 << 30)
    let seen = try frames(&outbox)
    expect(seen.map(\.0) == [1, 3, 1])
    expect(seen.map(\.1) == [.call, .call, .message])
  }

  @Test("refuses what the peer doesn't take, and forgets what was cancelled")
  func refusesAndForgets() throws {
    var remote = PeerSettings()
    remote.maxBody = 1_000
    var client = try Peer.with(calls: 1, .client, remote: remote)
    var outbox = Outbox()
    guard case .tooLarge = try send(&outbox, &client, 1, body: 1_001) else {
      Issue.record("a body over the limit was taken")
      return
    }
    expect(outbox.byteCount == 0)
    client = try Peer.with(calls: 1, .client)
    expect(try send(&outbox, &client, 1, body: 2 << 20) == .waits)
    expect(outbox.pendingBytes > 2 << 20)
    outbox.drop(1)
    expect(!outbox.hasPending && outbox.pendingBytes == 0)
    expect(outbox.fill(&client.machine, budget: 1 << 20).isEmpty)
  }

  @Test("sends bodies from where they lie")
  func bodiesAreNotCopied() throws {
    var client = try Peer.with(calls: 1, .client)
    var outbox = Outbox()
    let body = ByteBuffer(repeating: 9, count: 100_000)
    _ = try outbox.send(
      EchoRequest(data: Body(body)), Outbox.Purpose(type: .message, call: 1, hasRoom: true),
      &client.machine, meta: { _ in })
    let address = body.withUnsafeReadableBytes { $0.baseAddress }
    expect(outbox.take().contains { $0.withUnsafeReadableBytes { $0.baseAddress } == address })
  }
}
