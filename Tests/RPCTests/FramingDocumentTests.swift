import NIOCore
import Schema
import StoreProtocol
import Testing

@testable import RPC

/// The worked example of `Protos/FRAMING.md` is what this code sends.
@Suite("the example in the framing specification")
struct FramingDocumentTests {
  @Test("has our preface")
  func preface() {
    let bytes = Frames.hex(
      """
      89 48 46 52 50 43 0d 0a 01 01 00 00 60 00 00 00
      01 00 08 00 00 00 11 00 00 00 00 00 02 00 08 00 00 00 40 00 00 00 00 00
      03 00 08 00 00 00 00 04 00 00 00 00 04 00 08 00 ff ff 00 00 00 00 00 00
      05 00 08 00 00 04 00 00 00 00 00 00 06 00 08 00 00 00 40 00 00 00 00 00
      07 00 08 00 00 00 00 04 00 00 00 00 08 00 08 00 e8 03 00 00 00 00 00 00
      """)
    expect(Array(PeerSettings(ConnectionConfiguration()).preface.readableBytesView) == bytes)
  }

  @Test("has our call and our answer")
  func call() throws {
    var client = ConnectionMachine(role: .client, settings: PeerSettings())
    _ = try client.received(.preface(PeerSettings()), now: Instant(nanoseconds: 0))
    var outbox = Outbox()
    let id = client.openCall()
    let opening = CallOpening(
      method: "/holdfast.v1.Node/Echo", methodID: 1, timeoutMicroseconds: 1_000_000)
    let request = EchoRequest(payload: Array("hi".utf8), data: Body(Array("abc".utf8)))
    let sending = try outbox.send(
      request, Outbox.Purpose(type: .call, call: id, endsStream: true, hasRoom: true), &client
    ) { opening.encode(into: &$0) }
    expect(sending == .sent)
    let bytes = Frames.hex(
      """
      27 00 00 00 01 00 00 00 01 03 1e 00 06 00 00 00
      0a 16 2f 68 6f 6c 64 66 61 73 74 2e 76 31 2e 4e 6f 64 65 2f 45 63 68 6f 10 01 18 c0 84 3d
      0a 02 68 69 7a 03 61 62 63
      """)
    expect(Array(ByteBuffer(joining: outbox.take()).readableBytesView) == bytes)
    expect(client.calls[1]?.outgoing.sent == 73)

    outbox.append(.end, stream: 3) {
      CallEnding(code: .notFound, message: "no such").encode(into: &$0)
    }
    outbox.append(.window, stream: 0, message: 67_111_864, messageLength: 8)
    outbox.append(.goAway, stream: 0, message: 3, messageLength: 4) {
      CallEnding(message: "stop").encode(into: &$0)
    }
    let others = Frames.hex(
      """
      0b 00 00 00 03 00 00 00 05 00 0b 00 00 00 00 00 08 05 12 07 6e 6f 20 73 75 63 68
      08 00 00 00 00 00 00 00 07 00 00 00 08 00 00 00 b8 0b 00 04 00 00 00 00
      0a 00 00 00 00 00 00 00 09 00 06 00 04 00 00 00 12 04 73 74 6f 70 03 00 00 00
      """)
    expect(Array(ByteBuffer(joining: outbox.take()).readableBytesView) == others)
  }
}
