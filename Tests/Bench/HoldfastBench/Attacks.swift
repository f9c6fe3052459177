import NIOCore
import RPC
import RPCNIO

extension Attack {
  private static let framesABlock = 256

  /// Everything that a peer is known to try.
  static func all(over transport: NIOTransport) -> [Attack] {
    let ping = "/holdfast.bench.Bench/Ping"
    let pour = "/holdfast.bench.Bench/Pour"
    return [
      Attack(
        name: "prefaces", transport: transport, connections: 256,
        opening: ByteBuffer(bytes: [0x89, 0x48, 0x46])),
      Attack(
        name: "halves", transport: transport, connections: 256,
        opening: with(frame(1, id: 1, meta: bytes(60_000), without: 59_000))),
      Attack(name: "calls", transport: transport) { id in
        block { frame(1, id: id + 2 * $0, flags: 0x03, meta: opening(of: "/no.Such/Method")) }
      },
      Attack(name: "cancels", transport: transport) { id in
        block { number in
          var both = frame(1, id: id + 2 * number, meta: opening(of: ping))
          both.writeImmutableBuffer(frame(6, id: id + 2 * number))
          return both
        }
      },
      Attack(name: "pings", transport: transport) { _ in
        block { _ in frame(8, id: 0, message: bytes(8)) }
      },
      Attack(
        name: "empties", transport: transport,
        opening: with(frame(1, id: 1, meta: opening(of: pour)))
      ) { _ in
        block { _ in frame(3, id: 1, flags: 0x02) }
      },
      Attack(
        name: "crumbs", transport: transport,
        opening: with(
          frame(1, id: 1, meta: opening(of: pour)), frame(3, id: 1, flags: 0x0a))
      ) { _ in
        block { _ in frame(4, id: 1, flags: 0x08, body: bytes(1)) }
      },
      Attack(name: "windows", transport: transport) { first in
        block { number in
          let limit = 64 << 20 + UInt64(first + number)
          return frame(
            7, id: 0, message: (0..<8).map { UInt8(truncatingIfNeeded: limit >> (8 * $0)) })
        }
      },
      Attack(name: "deaf", transport: transport, connections: 4, reads: false) { id in
        block { number in
          frame(
            1, id: id + 2 * number, flags: 0x03, meta: opening(of: ping),
            message: [0x0a, 0x80, 0x08] + bytes(1_024))
        }
      },
    ]
  }

  private static func bytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

  /// The preface and frames behind it.
  private static func with(_ frames: ByteBuffer...) -> ByteBuffer {
    var buffer = preface
    for frame in frames { buffer.writeImmutableBuffer(frame) }
    return buffer
  }

  /// The meta part that opens a call, without a number for the method.
  private static func opening(of method: String) -> [UInt8] {
    [0x0a, UInt8(method.utf8.count)] + Array(method.utf8)
  }

  private static func block(
    _ frame: (UInt32) -> ByteBuffer
  ) -> (bytes: ByteBuffer, idsUsed: UInt32) {
    var buffer = ByteBuffer()
    for number in 0..<UInt32(framesABlock) { buffer.writeImmutableBuffer(frame(number)) }
    return (buffer, UInt32(framesABlock))
  }

  /// One frame as `Protos/FRAMING.md` has it, without its last `missing` bytes.
  private static func frame(
    _ type: UInt8, id: UInt32, flags: UInt8 = 0, meta: [UInt8] = [], message: [UInt8] = [],
    body: [UInt8] = [], without missing: Int = 0
  ) -> ByteBuffer {
    var buffer = ByteBuffer()
    let length = meta.count + message.count + body.count
    buffer.writeMultipleIntegers(
      UInt32(length), id, type, flags, UInt16(meta.count), UInt32(message.count),
      endianness: .little)
    buffer.writeBytes((meta + message + body).prefix(length - missing))
    return buffer
  }
}
