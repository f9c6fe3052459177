import NIOCore
import Schema
import Testing

@testable import RPC

/// A rule's violation: what comes in after two calls were made.
struct Violation: Sendable, CustomStringConvertible {
  let description: String
  let role: ConnectionRole
  let frames: [ByteBuffer]

  init(_ description: String, _ role: ConnectionRole, _ frames: ByteBuffer...) {
    self.description = description
    self.role = role
    self.frames = frames
  }
}

@Suite("a broken rule")
struct ConnectionMachineErrorTests {
  static let connectionErrors: [Violation] = [
    Violation("call id that is even", .server, Frames.frame(.call, 6)),
    Violation("call id that was used", .server, Frames.frame(.call, 3)),
    Violation("call id that falls", .server, Frames.frame(.call, 7), Frames.frame(.call, 5)),
    Violation(
      "method number out of order", .server,
      Frames.frame(.call, 5, meta: Frames.opening("/a.B/C", id: 2))),
    Violation(
      "path that is too long", .server,
      Frames.frame(.call, 5, meta: Frames.opening("/" + String(repeating: "x", count: 1_024)))),
    Violation("message for a call never made", .server, Frames.frame(.message, 5, [.message])),
    Violation("message for an even id", .server, Frames.frame(.message, 2, [.message])),
    Violation("body for a call never made", .client, Frames.frame(.body, 5)),
    Violation("cancel for a call never made", .server, Frames.frame(.cancel, 5)),
    Violation(
      "window for a call never made", .client,
      Frames.frame(.window, 5, message: Frames.number(1))),
    Violation("end for a call never made", .client, Frames.frame(.end, 5)),
    Violation("refusal for a call never made", .client, Frames.frame(.refuse, 5)),
    Violation("call from a server", .client, Frames.frame(.call, 5)),
    Violation("cancel from a server", .client, Frames.frame(.cancel, 1)),
    Violation("head from a client", .server, Frames.frame(.head, 1)),
    Violation("end from a client", .server, Frames.frame(.end, 1)),
    Violation("refusal from a client", .server, Frames.frame(.refuse, 1)),
    Violation("go-away from a client", .server, Frames.frame(.goAway, 0, message: [0, 0, 0, 0])),
    Violation("body before its message", .server, Frames.frame(.body, 1)),
    Violation(
      "body inside a message part", .server,
      Frames.frame(.message, 1, [.message, .moreMessage]), Frames.frame(.body, 1)),
    Violation(
      "message inside a body", .server, Frames.frame(.message, 1, [.message, .moreBody]),
      Frames.frame(.message, 1, [.message])),
    Violation(
      "end of stream inside a body", .server, Frames.frame(.message, 1, [.message, .moreBody]),
      Frames.frame(.message, 1, [.endStream])),
    Violation(
      "message after the last", .server, Frames.frame(.message, 1, [.message, .endStream]),
      Frames.frame(.message, 1, [.message])),
    Violation(
      "end of stream twice", .server, Frames.frame(.message, 1, [.endStream]),
      Frames.frame(.message, 1, [.endStream])),
    Violation(
      "end of stream from a server", .client, Frames.frame(.message, 1, [.message, .endStream])),
    Violation(
      "end with a message inside another", .client,
      Frames.frame(.message, 1, [.message, .moreBody]), Frames.frame(.end, 1, [.message])),
    Violation("second head", .client, Frames.frame(.head, 1), Frames.frame(.head, 1)),
    Violation(
      "head after a response", .client, Frames.frame(.message, 1, [.message]),
      Frames.frame(.head, 1)),
    Violation(
      "go-away that goes back", .client, Frames.frame(.goAway, 0, message: [1, 0, 0, 0]),
      Frames.frame(.goAway, 0, message: [3, 0, 0, 0])),
  ]

  @Test("of the connection ends it", arguments: connectionErrors)
  func connectionError(_ violation: Violation) throws {
    var peer = try Peer.with(calls: 2, violation.role)
    for frame in violation.frames.dropLast() { _ = try peer.feed(frame) }
    let last = try #require(violation.frames.last)
    #expect(throws: ConnectionFailure.self) { try peer.feed(last) }
  }

  @Test("of the credit ends the connection, the call's and the connection's own")
  func creditExceeded() throws {
    var settings = PeerSettings()
    settings.callWindow = 65_536
    settings.connectionWindow = 100_000
    let piece = Frames.frame(
      .message, 1, [.message], message: [], body: Array(repeating: 0, count: 16_320))
    var server = try Peer.with(calls: 2, .server, settings: settings)
    for _ in 0..<4 { try server.feed(piece) }
    #expect(throws: ConnectionFailure.self) { try server.feed(piece) }

    server = try Peer.with(calls: 2, .server, settings: settings)
    for _ in 0..<4 { try server.feed(piece) }
    var other = piece
    other.setInteger(3, at: 4, endianness: .little, as: UInt32.self)
    for _ in 0..<2 { try server.feed(other) }
    #expect(throws: ConnectionFailure.self) { try server.feed(other) }
  }

  @Test("of one call ends that call alone")
  func callErrors() throws {
    var settings = PeerSettings()
    settings.maxMessage = 16_384
    settings.maxBody = 100
    let large = [UInt8](repeating: 0, count: 10_000)
    func code(_ peer: inout Peer, _ frames: ByteBuffer...) throws -> (StatusCode, Bool)? {
      var actions: [ConnectionAction] = []
      for frame in frames { actions += try peer.feed(frame) }
      guard case .callFailed(1, let ending, let isOver)? = actions.last else { return nil }
      expect(peer.machine.calls.count == 1, "the other call goes on")
      return (ending.code, isOver)
    }
    for role in [ConnectionRole.server, .client] {
      var peer = try Peer.with(calls: 2, role, settings: settings)
      var found = try code(
        &peer, Frames.frame(.message, 1, [.message, .moreMessage], message: large),
        Frames.frame(.message, 1, [.message], message: large))
      expect(found?.0 == .resourceExhausted)
      peer = try Peer.with(calls: 2, role, settings: settings)
      found = try code(
        &peer, Frames.frame(.message, 1, [.message, .moreBody], body: Array(large.prefix(60))),
        Frames.frame(.body, 1, body: Array(large.prefix(41))))
      expect(found?.0 == .resourceExhausted)
    }
    var client = try Peer.with(calls: 2, .client)
    var found = try code(&client, Frames.frame(.head, 1, meta: [0xff]))
    expect(found?.0 == .internal && found?.1 == false)
    client = try Peer.with(calls: 2, .client)
    found = try code(&client, Frames.frame(.end, 1, meta: [0xff]))
    expect(found?.0 == .internal && found?.1 == true)
    client = try Peer.with(calls: 2, .client)
    found = try code(
      &client, Frames.frame(.message, 1, [.message, .moreBody], body: [1]),
      Frames.frame(.end, 1))
    expect(found?.0 == .dataLoss && found?.1 == true)
  }

  @Test("isn't what an empty meta is: a refusal is one without it, and so is a cancellation")
  func emptyMeta() throws {
    var client = try Peer.with(calls: 2, .client)
    for (id, meta) in [(1, []), (3, [0xff])] as [(UInt32, [UInt8])] {
      let actions = try client.feed(Frames.frame(.refuse, id, meta: meta))
      expect(actions == [.refused(id, CallEnding(code: .unavailable))])
    }
    var server = try Peer.with(calls: 2, .server)
    for (id, meta) in [(1, []), (3, [0xff])] as [(UInt32, [UInt8])] {
      let actions = try server.feed(Frames.frame(.cancel, id, meta: meta))
      expect(actions == [.cancelled(id, CallEnding(code: .cancelled))])
    }
  }

  @Test("by a server that fails inside a message leaves its error to be seen")
  func errorInsideMessage() throws {
    var client = try Peer.with(calls: 1, .client)
    try client.feed(Frames.frame(.message, 1, [.message, .moreBody], body: [1]))
    expect(
      try client.feed(Frames.frame(.end, 1, meta: Frames.ending(.aborted))) == [
        .end(1, CallEnding(code: .aborted), nil)
      ])
  }

  @Test("is all that random bytes can be", arguments: 0..<200)
  func randomFrames(_ seed: UInt64) throws {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
    func random(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % bound
    }
    var peer = try Peer.with(calls: 2, seed % 2 == 0 ? .server : .client)
    do throws(ConnectionFailure) {
      for _ in 0..<1_000 {
        let message = UInt32(random(3) == 0 ? random(9) : 0)
        let meta = UInt16(random(4) == 0 ? random(4) : 0)
        let body = UInt32(random(3) == 0 ? random(5) : 0)
        var frame = Frames.header(
          payload: message + UInt32(meta) + body, stream: UInt32(random(8)),
          type: UInt8(random(13)), flags: UInt8(random(32)), meta: meta, message: message)
        for _ in 0..<(message + UInt32(meta) + body) { frame.writeInteger(UInt8(random(256))) }
        for action in try peer.feed(frame) {
          if case .message(let id, let message?, _) = action {
            peer.machine.consumed(id, cost: message.cost)
          }
        }
        _ = peer.windows()
      }
    } catch {
      expect(!error.message.isEmpty)
    }
  }
}
