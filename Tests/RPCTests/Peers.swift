import NIOCore
import Schema

@testable import RPC

/// One machine, fed with frames as its peer would send them; checks its invariants after each.
struct Peer {
  var machine: ConnectionMachine
  var decoder: FrameDecoder
  var now = Instant(nanoseconds: 1)

  init(
    _ role: ConnectionRole, settings: PeerSettings = PeerSettings(),
    remote: PeerSettings = PeerSettings(), maxUnfinished: UInt64 = 256 << 20
  ) throws(ConnectionFailure) {
    var limits = ConnectionMachine.Limits()
    limits.maxUnfinished = maxUnfinished
    machine = ConnectionMachine(role: role, settings: settings, limits: limits)
    decoder = FrameDecoder(settings: settings)
    _ = try feed(remote.preface)
  }

  /// What the machine makes of the bytes, without those that need nothing.
  @discardableResult
  mutating func feed(_ bytes: ByteBuffer...) throws(ConnectionFailure) -> [ConnectionAction] {
    var actions: [ConnectionAction] = []
    for event in try decoder.events(of: ByteBuffer(joining: bytes)) {
      actions.append(try machine.received(event, now: now))
      machine.checkInvariants()
    }
    return actions.filter { $0 != .nothing }
  }

  /// The windows that are due.
  mutating func windows() -> [UInt32: UInt64] {
    var windows: [UInt32: UInt64] = [:]
    machine.takeWindows(now: now) { windows[$0] = $1 }
    machine.checkInvariants()
    return windows
  }

  /// A client with `count` calls, or a server that was sent them.
  static func with(
    calls count: Int, _ role: ConnectionRole, settings: PeerSettings = PeerSettings(),
    remote: PeerSettings = PeerSettings(), maxUnfinished: UInt64 = 256 << 20
  ) throws(ConnectionFailure) -> Peer {
    var peer = try Peer(
      role, settings: settings, remote: remote, maxUnfinished: maxUnfinished)
    for number in 0..<count {
      let id = UInt32(2 * number + 1)
      if role == .client {
        precondition(peer.machine.openCall() == id, "ids rise by two")
      } else {
        try peer.feed(Frames.frame(.call, id, meta: Frames.opening("/a.B/C")))
      }
    }
    return peer
  }
}

extension InboundMessage {
  init(_ bytes: [UInt8], body: [UInt8] = [], frames: Int = 1) {
    self.init(
      bytes: ByteBuffer(bytes: bytes), body: body.isEmpty ? Body() : Body(body),
      cost: UInt64(64 * frames + bytes.count + body.count))
  }
}
