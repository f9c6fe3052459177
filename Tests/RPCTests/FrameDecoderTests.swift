import NIOCore
import Testing

@testable import RPC

@Suite("the frame decoder")
struct FrameDecoderTests {
  let settings = PeerSettings()

  /// A preface and one frame of many kinds.
  var stream: ByteBuffer {
    ByteBuffer(joining: [
      settings.preface,
      Frames.frame(
        .call, 1, [.message, .endStream], meta: Frames.opening("/a.B/C", id: 1),
        message: [1, 2, 3], body: Array(0..<40)),
      Frames.frame(.end, 1, [.message], message: []),
      Frames.header(payload: 5, type: 99, flags: 0x80),
      ByteBuffer(bytes: [9, 9, 9, 9, 9]),
      Frames.frame(.ping, 0, message: Frames.number(7)),
      Frames.frame(.body, 3),
      Frames.frame(.window, 0, message: Frames.number(1 << 40)),
    ])
  }

  /// Events with neighbouring body pieces put together.
  private func joined(_ events: [FrameDecoder.Event]) -> [FrameDecoder.Event] {
    var result: [FrameDecoder.Event] = []
    for event in events {
      if case .body(let bytes, let isLast) = event,
        case .body(var before, false)? = result.last
      {
        before.writeImmutableBuffer(bytes)
        result[result.count - 1] = .body(before, isLast: isLast)
      } else {
        result.append(event)
      }
    }
    return result
  }

  @Test("gives the same events wherever the bytes are split")
  func everySplit() throws {
    var whole = FrameDecoder(settings: settings)
    let expected = joined(try whole.events(of: stream))
    expect(expected.count == 7)
    expect(!whole.isInsideFrame)
    for split in 0...stream.readableBytes {
      var decoder = FrameDecoder(settings: settings)
      expect(joined(try decoder.events(of: stream, pieces: [split])) == expected)
    }
    for size in 1...40 {
      var decoder = FrameDecoder(settings: settings)
      let pieces = [Int](repeating: size, count: stream.readableBytes / size)
      expect(joined(try decoder.events(of: stream, pieces: pieces)) == expected)
    }
  }

  @Test("gives no event out of an unfinished frame but its body, and knows that it waits")
  func everyPrefix() throws {
    let frame = Frames.frame(.head, 1, meta: Array(repeating: 8, count: 20))
    for length in 1..<frame.readableBytes {
      var decoder = FrameDecoder(settings: settings)
      _ = try decoder.events(of: settings.preface)
      expect(!decoder.isInsideFrame)
      let part = try #require(frame.getSlice(at: 0, length: length))
      expect(try decoder.events(of: part).isEmpty)
      expect(decoder.isInsideFrame)
    }
  }

  @Test("hands bodies out where they lie, without a copy")
  func bodiesAreSlices() throws {
    var decoder = FrameDecoder(settings: settings)
    _ = try decoder.events(of: settings.preface)
    let bytes = Frames.frame(
      .message, 1, [.message], message: [1], body: Array(repeating: 5, count: 100_000))
    func address(_ buffer: ByteBuffer) -> UnsafeRawPointer? {
      buffer.withUnsafeReadableBytes { $0.baseAddress }
    }
    decoder.feed(bytes)
    _ = try decoder.next()
    guard case .body(let body, true)? = try decoder.next() else {
      Issue.record("no body came")
      return
    }
    expect(address(body) == address(bytes)?.advanced(by: 17))
  }

  @Test(
    "refuses headers that break a rule",
    arguments: [
      Frames.header(payload: 1_114_113, type: 3, flags: 2),
      Frames.header(payload: .max, type: 3, flags: 2),
      Frames.header(payload: 10, type: 1, flags: 2, meta: 6, message: 5),
      Frames.header(payload: 10, type: 3, flags: 2, message: .max),
      Frames.header(payload: 0, type: 0),
      Frames.header(payload: 0, type: 13),
      Frames.header(payload: 0, stream: 0, type: 10),
      Frames.header(payload: 0, stream: 0, type: 1),
      Frames.header(payload: 0, stream: 0, type: 3, flags: 1),
      Frames.header(payload: 8, stream: 1, type: 8, message: 8),
      Frames.header(payload: 7, stream: 0, type: 8, message: 7),
      Frames.header(payload: 9, stream: 0, type: 7, message: 8),
      Frames.header(payload: 8, stream: 0, type: 9, message: 8),
      Frames.header(payload: 3, type: 3, flags: 2, meta: 3),
      Frames.header(payload: 3, type: 3, message: 3),
      Frames.header(payload: 3, type: 3, flags: 1),
      Frames.header(payload: 0, type: 3),
      Frames.header(payload: 3, type: 3, flags: 0x02 | 0x04 | 0x08, message: 3),
      Frames.header(payload: 3, type: 3, flags: 0x02 | 0x04, message: 2),
      Frames.header(payload: 3, type: 3, flags: 0x02 | 0x04 | 0x01, message: 3),
      Frames.header(payload: 3, type: 3, flags: 0x02 | 0x08 | 0x01, message: 3),
      Frames.header(payload: 3, type: 4, flags: 0x08 | 0x01),
      Frames.header(payload: 3, type: 4, message: 1),
      Frames.header(payload: 3, type: 4, flags: 0x02),
      Frames.header(payload: 3, type: 5, flags: 0x02 | 0x08, message: 3),
      Frames.header(payload: 0, type: 5, flags: 0x01),
      Frames.header(payload: 0, type: 3, flags: 0x81),
      Frames.header(payload: 1, type: 2),
      Frames.header(payload: 1, type: 6, message: 1),
      Frames.header(payload: 0, type: 2, flags: 0x10),
    ])
  func refusals(_ header: ByteBuffer) throws {
    var decoder = FrameDecoder(settings: settings)
    _ = try decoder.events(of: settings.preface)
    #expect(throws: ConnectionFailure.self) { try decoder.events(of: header) }
  }

  @Test("refuses meta over the limit")
  func metaLimit() throws {
    var small = settings
    small.maxMeta = 1_024
    var decoder = FrameDecoder(settings: small)
    _ = try decoder.events(of: settings.preface)
    #expect(throws: ConnectionFailure.self) {
      try decoder.events(of: Frames.header(payload: 2_000, type: 2, meta: 1_025))
    }
  }
}

@Suite("the preface")
struct PrefaceTests {
  @Test("is read as it was written")
  func roundTrip() throws {
    var settings = PeerSettings()
    settings.maxCalls = 7
    settings.callWindow = 70_000
    var bytes = settings.preface
    expect(try PeerSettings.read(from: &bytes) == settings)
    expect(bytes.readableBytes == 0)
  }

  @Test("passes over settings it doesn't know, and takes defaults for those that are absent")
  func unknownSettings() throws {
    var bytes = ByteBuffer(bytes: Preface.magic + [1, 9, 3, 3, 7, 0, 0, 0])
    bytes.writeBytes([0x34, 0x12, 3, 0, 1, 2, 3])
    expect(try PeerSettings.read(from: &bytes) == PeerSettings())
  }

  @Test(
    "is refused when it breaks a rule",
    arguments: [
      [0x16, 3, 1], Array("GET / HTTP/1.1\r\n".utf8), Array("PRI * HTTP/2.0".utf8),
      Preface.magic + [2, 3, 0, 0, 0, 0, 0, 0], Preface.magic + [0, 0, 0, 0, 0, 0, 0, 0],
      Preface.magic + [1, 1, 0, 0, 1, 16, 0, 0],
      Preface.magic + [1, 1, 0, 0, 2, 0, 0, 0, 1, 0],
      Preface.magic + [1, 1, 0, 0, 5, 0, 0, 0, 1, 0, 1, 0, 9],
      Preface.magic + [1, 1, 0, 0, 12, 0, 0, 0, 1, 0, 8, 0] + Frames.number(16_383),
    ] as [[UInt8]])
  func refusals(_ bytes: [UInt8]) {
    var buffer = ByteBuffer(bytes: bytes)
    #expect(throws: ConnectionFailure.self) { try PeerSettings.read(from: &buffer) }
  }
}
