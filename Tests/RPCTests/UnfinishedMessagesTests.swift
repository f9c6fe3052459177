import NIOCore
import Testing

@testable import RPC

@Suite("messages that aren't whole")
struct UnfinishedMessagesTests {
  /// A frame that begins a message: its cost is 64 and the 100 bytes.
  private func begin(_ id: UInt32) -> ByteBuffer {
    Frames.frame(
      .message, id, [.message, .moreBody], body: [UInt8](repeating: 7, count: 100))
  }

  /// A server with three calls, and room for two messages that `begin` begins, and a frame that ends one.
  private func server() throws -> Peer {
    var server = try Peer.with(calls: 3, .server, maxUnfinished: 2 * 164 + 64)
    #expect(try server.feed(begin(1), begin(3)).isEmpty)
    #expect(server.machine.unfinished == 2 * 164)
    return server
  }

  @Test("beyond the budget the call that went over it fails, and the others go on")
  func budget() throws {
    var server = try server()
    let actions = try server.feed(begin(5))
    guard case .callFailed(5, let ending, isOver: false)? = actions.first else {
      Issue.record("\(actions)")
      return
    }
    #expect(ending.code == .resourceExhausted)
    #expect(server.machine.unfinished == 2 * 164)
    let rest = try server.feed(Frames.frame(.body, 1, [.endStream]))
    guard case .message(1, _?, isEnded: true)? = rest.first else {
      Issue.record("\(rest)")
      return
    }
  }

  @Test("the budget comes back when a message is whole, and when its call ends in any way")
  func givenBack() throws {
    var whole = try server()
    _ = try whole.feed(Frames.frame(.body, 1))
    #expect(whole.machine.unfinished == 164)
    #expect(try whole.feed(begin(5)).isEmpty)

    var cancelled = try server()
    _ = try cancelled.feed(Frames.frame(.cancel, 1))
    #expect(cancelled.machine.unfinished == 164)
    #expect(try cancelled.feed(begin(5)).isEmpty)

    var closed = try server()
    let wasOpen = closed.machine.closeCall(1)
    #expect(wasOpen)
    closed.machine.sent(FrameHeader(type: .end, stream: 3))
    #expect(closed.machine.unfinished == 0)
    closed.machine.checkInvariants()
  }

  @Test("a client gives it back when the server ends or refuses the call, or goes away")
  func client() throws {
    var client = try Peer.with(calls: 3, .client, maxUnfinished: 3 * 164)
    _ = try client.feed(begin(1), begin(3), begin(5))
    _ = try client.feed(Frames.frame(.end, 1, meta: Frames.ending(.aborted)))
    #expect(client.machine.unfinished == 2 * 164)
    _ = try client.feed(Frames.frame(.refuse, 3))
    #expect(client.machine.unfinished == 164)
    _ = try client.feed(Frames.frame(.goAway, 0, message: [3, 0, 0, 0]))
    #expect(client.machine.unfinished == 0)
  }
}
