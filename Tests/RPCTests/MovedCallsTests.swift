import NIOCore
import Schema
import StoreProtocol
import Synchronization
import Testing

@testable import RPC

@Suite("A stream whose call the server surely never began")
struct MovedCallsTests {
  private typealias Script = @Sendable (RawPeer) async throws -> Void

  private static let method = Method<EchoRequest, EchoResponse>(
    service: "a.B", name: "C", kind: .serverStreaming)

  /// Plays the servers of the connections that come in, one script after another, for `body`'s calls.
  private func withServers(
    _ scripts: [Script], _ body: @escaping @Sendable (any CallChannel) async throws -> Void
  ) async throws {
    let transport = MemoryTransport()
    let listener = try await transport.listen(on: Address("server"))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for script in scripts {
          guard let bytes = try await listener.accept() else { return }
          try await RawPeer.with(bytes) { peer in
            try await script(peer)
            while await peer.next() != nil {}
          }
        }
      }
      try await withChannel(
        to: listener.address, transport: transport, time: SystemTimeSource(),
        random: SystemRandomSource(), body)
      listener.close()
      try await group.waitForAll()
    }
  }

  /// The payloads of a call's responses.
  private static func call(_ channel: any CallChannel) async throws -> [[UInt8]] {
    try await channel.serverStreaming(method, EchoRequest(), options: CallOptions()) { responses in
      var payloads: [[UInt8]] = []
      while let response = try await responses.next() { payloads.append(response.payload) }
      return payloads
    }
  }

  /// The id of the next call.
  private static func nextCall(_ peer: RawPeer) async throws -> UInt32 {
    while true {
      let frame = try #require(await peer.nextFrame())
      if frame.header.type == .call { return frame.header.stream }
    }
  }

  private static func answer(_ peer: RawPeer, _ id: UInt32) throws {
    let message = try EchoResponse(payload: [7]).encodedBytes()
    peer.send(Frames.frame(.message, id, .message, message: message), Frames.frame(.end, id))
  }

  @Test("as it refused it is made again")
  func refused() async throws {
    let script: Script = { peer in
      peer.send(Frames.frame(.refuse, try await Self.nextCall(peer)))
      try Self.answer(peer, try await Self.nextCall(peer))
    }
    try await withServers([script]) { channel in
      let payloads = try await Self.call(channel)
      #expect(payloads == [[7]])
    }
  }

  @Test("as it went away is made again on another connection")
  func leftOut() async throws {
    let goes: Script = { peer in
      _ = try await Self.nextCall(peer)
      peer.send(Frames.frame(.goAway, 0, message: [0, 0, 0, 0]))
    }
    let serves: Script = { peer in try Self.answer(peer, try await Self.nextCall(peer)) }
    try await withServers([goes, serves]) { channel in
      let payloads = try await Self.call(channel)
      #expect(payloads == [[7]])
    }
  }

  @Test("isn't made for ever")
  func bounded() async throws {
    let count = Atomic(0)
    let script: Script = { peer in
      while let frame = await peer.nextFrame() {
        guard frame.header.type == .call else { continue }
        count.add(1, ordering: .relaxed)
        peer.send(Frames.frame(.refuse, frame.header.stream))
      }
    }
    try await withServers([script]) { channel in
      let error = await #expect(throws: RPCError.self) { _ = try await Self.call(channel) }
      #expect(error?.code == .unavailable)
    }
    #expect(count.load(ordering: .relaxed) == 2)
  }

  @Test("though a response came isn't made again")
  func begun() async throws {
    let script: Script = { peer in
      let id = try await Self.nextCall(peer)
      let message = try EchoResponse(payload: [7]).encodedBytes()
      peer.send(
        Frames.frame(.message, id, .message, message: message), Frames.frame(.refuse, id))
    }
    try await withServers([script]) { channel in
      let error = await #expect(throws: RPCError.self) { _ = try await Self.call(channel) }
      #expect(error?.code == .unavailable)
    }
  }
}
