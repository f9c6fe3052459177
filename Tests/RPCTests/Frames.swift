import NIOCore
import Schema
import Testing

@testable import RPC

/// Frames as bytes, for tests.
enum Frames {
  /// One frame; lengths follow from the parts unless `header` changes them.
  static func frame(
    _ type: FrameType, _ stream: UInt32, _ flags: FrameFlags = [], meta: [UInt8] = [],
    message: [UInt8] = [], body: [UInt8] = []
  ) -> ByteBuffer {
    var buffer = ByteBuffer()
    FrameHeader(
      type: type, flags: flags, stream: stream, metaLength: meta.count,
      messageLength: message.count, bodyLength: body.count
    ).write(into: &buffer)
    buffer.writeBytes(meta)
    buffer.writeBytes(message)
    buffer.writeBytes(body)
    return buffer
  }

  /// A header's bytes, whatever they say.
  static func header(
    payload: UInt32, stream: UInt32 = 1, type: UInt8, flags: UInt8 = 0, meta: UInt16 = 0,
    message: UInt32 = 0
  ) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.writeMultipleIntegers(
      payload, stream, type, flags, meta, message, endianness: .little)
    return buffer
  }

  static func opening(_ method: String, id: UInt32 = 0) -> [UInt8] {
    var buffer = ByteBuffer()
    CallOpening(method: method, methodID: id).encode(into: &buffer)
    return Array(buffer.readableBytesView)
  }

  static func ending(_ code: StatusCode, _ message: String = "") -> [UInt8] {
    var buffer = ByteBuffer()
    CallEnding(code: code, message: message).encode(into: &buffer)
    return Array(buffer.readableBytesView)
  }

  static func number(_ value: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
  }

  /// `01 0a ff` as bytes.
  static func hex(_ text: String) -> [UInt8] {
    text.split { $0 == " " || $0 == "\n" }.compactMap { UInt8($0, radix: 16) }
  }
}

extension ByteBuffer {
  /// Several buffers in a row.
  init(joining buffers: [ByteBuffer]) {
    self.init()
    for buffer in buffers { writeImmutableBuffer(buffer) }
  }
}

extension FrameDecoder {
  /// All events of `bytes`, which come in pieces of the given lengths and the rest.
  mutating func events(
    of bytes: ByteBuffer, pieces: [Int] = []
  ) throws(ConnectionFailure) -> [Event] {
    var bytes = bytes
    var events: [Event] = []
    for length in pieces + [Int.max] {
      guard let piece = bytes.readSlice(length: min(length, bytes.readableBytes)) else { break }
      feed(piece)
      while let event = try next() { events.append(event) }
    }
    return events
  }
}

/// `#expect` for a condition that changes what it asks, which the macro does not allow.
func expect(
  _ condition: Bool, _ comment: Comment? = nil, at location: SourceLocation = #_sourceLocation
) {
  #expect(condition, comment, sourceLocation: location)
}
