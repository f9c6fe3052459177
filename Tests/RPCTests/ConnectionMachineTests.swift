import NIOCore
import Schema
import Testing

@testable import RPC

@Suite("the connection machine")
struct ConnectionMachineTests {
  let opening = CallOpening(method: "/a.B/C")

  @Test("opens a call with its first message")
  func unaryCall() throws {
    var server = try Peer(.server)
    let actions = try server.feed(
      Frames.frame(
        .call, 1, [.message, .endStream], meta: Frames.opening("/a.B/C"), message: [1, 2]))
    expect(actions == [.open(1, opening, message: InboundMessage([1, 2]), isEnded: true)])
    expect(server.machine.handlers == 1)
    server.machine.consumed(1, cost: 66)
    expect(server.machine.closeCall(1))
    server.machine.handlerEnded()
    server.machine.checkInvariants()
    expect(server.machine.incoming.held == 0)
  }

  @Test("puts a message together from any number of frames")
  func fragments() throws {
    var server = try Peer.with(calls: 1, .server)
    let actions = try server.feed(
      Frames.frame(.message, 1, [.message, .moreMessage], message: [1]),
      Frames.frame(.message, 1, [.message, .moreMessage]),
      Frames.frame(.message, 1, [.message, .moreBody], message: [2], body: [3]),
      Frames.frame(.body, 1, [.moreBody]),
      Frames.frame(.body, 1, [.moreBody], body: [4, 5]),
      Frames.frame(.body, 1, [.endStream], body: [6]))
    expect(
      actions == [
        .message(1, InboundMessage([1, 2], body: [3, 4, 5, 6], frames: 6), isEnded: true)
      ])
  }

  @Test("ends a stream with an empty frame, or with its last message")
  func endOfStream() throws {
    var server = try Peer.with(calls: 2, .server)
    expect(
      try server.feed(Frames.frame(.message, 1, [.endStream])) == [
        .message(1, nil, isEnded: true)
      ])
    expect(
      try server.feed(Frames.frame(.message, 3, [.message, .endStream])) == [
        .message(3, InboundMessage([]), isEnded: true)
      ])
  }

  @Test("binds numbers to methods, in order")
  func methodNumbers() throws {
    var server = try Peer(.server)
    try server.feed(
      Frames.frame(.call, 1, meta: Frames.opening("/a.B/C", id: 1)),
      Frames.frame(.call, 3, meta: Frames.opening("/a.B/D", id: 2)))
    expect(
      try server.feed(Frames.frame(.call, 5, meta: Frames.opening("", id: 2))) == [
        .open(
          5, CallOpening(method: "/a.B/D", methodID: 2), message: nil, isEnded: false)
      ])
    for meta in [Frames.opening("", id: 3), Frames.opening("", id: 0), [0xff]] {
      let id = server.machine.lastID + 2
      let actions = try server.feed(Frames.frame(.call, id, meta: meta))
      guard case .reject(id, let ending, isRefusal: false)? = actions.first else {
        Issue.record("\(actions)")
        continue
      }
      expect(ending.code == .internal)
    }
  }

  @Test("delivers an answer with its head, responses and end")
  func answer() throws {
    var client = try Peer.with(calls: 1, .client)
    var head = ByteBuffer()
    Metadata(dictionaryLiteral: ("k", "v")).encode(into: &head, field: 1)
    let actions = try client.feed(
      Frames.frame(.head, 1, meta: Array(head.readableBytesView)),
      Frames.frame(.message, 1, [.message], message: [1]),
      Frames.frame(
        .end, 1, [.message], meta: Frames.ending(.ok), message: [2], body: [3, 4]))
    expect(
      actions == [
        .head(1, ["k": "v"]), .message(1, InboundMessage([1]), isEnded: false),
        .end(1, CallEnding(), InboundMessage([2], body: [3, 4])),
      ])
    expect(client.machine.calls.isEmpty)
  }

  @Test("drops late frames, though they use up the connection's credit")
  func lateFrames() throws {
    var server = try Peer.with(calls: 1, .server)
    expect(
      try server.feed(Frames.frame(.cancel, 1, meta: Frames.ending(.cancelled))) == [
        .cancelled(1, CallEnding(code: .cancelled))
      ])
    let before = server.machine.incoming.received
    let actions = try server.feed(
      Frames.frame(.message, 1, [.message, .moreBody], message: [1], body: [2, 3]),
      Frames.frame(.body, 1, [.endStream], body: [4]), Frames.frame(.cancel, 1),
      Frames.frame(.window, 1, message: Frames.number(.max)))
    expect(actions.isEmpty)
    expect(server.machine.incoming.received == before + 67 + 65)
    expect(server.machine.incoming.held == 0)

    var client = try Peer.with(calls: 1, .client)
    try client.feed(Frames.frame(.end, 1))
    expect(
      try client.feed(
        Frames.frame(.head, 1), Frames.frame(.message, 1, [.message], message: [1]),
        Frames.frame(.end, 1), Frames.frame(.refuse, 1)
      ).isEmpty)
  }

  @Test("refuses calls over the limit and while it drains")
  func refusals() throws {
    var settings = PeerSettings()
    settings.maxCalls = 2
    var server = try Peer.with(calls: 2, .server, settings: settings)
    try refuses(5, &server)
    // Cancelled calls whose handlers still run count too, with some patience.
    try server.feed(Frames.frame(.cancel, 1), Frames.frame(.cancel, 3))
    try server.feed(
      Frames.frame(.call, 7, meta: Frames.opening("/a.B/C")),
      Frames.frame(.call, 9, meta: Frames.opening("/a.B/C")))
    try server.feed(Frames.frame(.cancel, 7), Frames.frame(.cancel, 9))
    try refuses(11, &server)
    server.machine.handlerEnded()
  }

  private func refuses(_ id: UInt32, _ server: inout Peer) throws {
    let actions = try server.feed(
      Frames.frame(
        .call, id, [.message], meta: Frames.opening("/a.B/C"), message: [1], body: [2]))
    guard case .reject(id, let ending, isRefusal: true)? = actions.first else {
      Issue.record("\(actions)")
      return
    }
    expect(ending.code == .unavailable)
    expect(server.machine.incoming.held == 0)
  }

  @Test("refuses no call of a client that hasn't heard of a drain, and every call afterwards")
  func drain() throws {
    var server = try Peer.with(calls: 1, .server)
    let heard = Frames.frame(.ping, 0, .ack, message: Frames.number(ConnectionMachine.drainPing))
    expect(try server.feed(heard).isEmpty)
    server.machine.announceDrain()
    expect(
      try server.feed(Frames.frame(.call, 3, meta: Frames.opening("/a.B/C"))).count == 1)
    expect(server.machine.calls.count == 2)
    expect(try server.feed(Frames.frame(.ping, 0, .ack, message: Frames.number(1))).isEmpty)
    expect(try server.feed(heard) == [.drainHeard])
    expect(server.machine.refuseCalls() == 3)
    try refuses(5, &server)
    expect(try server.feed(heard).isEmpty)
    expect(server.machine.calls.count == 2)
  }

  @Test("lets a client make calls up to the server's limit, and none after a go-away")
  func clientLimits() throws {
    var remote = PeerSettings()
    remote.maxCalls = 2
    var client = try Peer.with(calls: 2, .client, remote: remote)
    expect(!client.machine.canOpenCall)
    expect(
      try client.feed(Frames.frame(.refuse, 1, meta: Frames.ending(.unavailable, "full"))) == [
        .refused(1, CallEnding(code: .unavailable, message: "full"))
      ])
    expect(client.machine.canOpenCall)
    expect(client.machine.openCall() == 5)
    expect(
      try client.feed(Frames.frame(.goAway, 0, message: [3, 0, 0, 0])) == [
        .goAway(CallEnding(), notBegun: [5])
      ])
    expect(!client.machine.canOpenCall)
    expect(Array(client.machine.calls.ids) == [3])
  }

  @Test("answers pings, and ends a peer that sends too many")
  func pings() throws {
    var server = try Peer(.server)
    let ping = Frames.frame(.ping, 0, message: Frames.number(77))
    expect(try server.feed(ping) == [.pong(77)])
    expect(try server.feed(Frames.frame(.ping, 0, .ack, message: Frames.number(1))).isEmpty)
    for _ in 0..<100 {
      server.now = server.now.advanced(by: .seconds(1))
      try server.feed(ping)
    }
    #expect(throws: ConnectionFailure.self) {
      for _ in 0...ConnectionMachine.maxEarlyPings + 1 { try server.feed(ping) }
    }
  }

  @Test("hears why its peer gives up")
  func peerError() throws {
    var client = try Peer(.client)
    expect(
      try client.feed(Frames.frame(.error, 0, meta: Frames.ending(.internal, "bad"))) == [
        .peerFailed(CallEnding(code: .internal, message: "bad"))
      ])
  }
}
