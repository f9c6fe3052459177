internal import NIOCore

/// Bytes in, frames out: one connection's incoming side, without I/O.
///
/// A frame's meta and message parts are handed out whole; they are slices of what came in where they
/// came in one piece. Body bytes are handed out as they come, always as slices: a frame's body is
/// never gathered and never copied.
struct FrameDecoder {
  /// What came in.
  enum Event: Sendable, Hashable {
    /// The peer's preface; always the first.
    case preface(PeerSettings)
    /// A frame up to its body; the header says how much body follows.
    case frame(FrameHeader, meta: ByteBuffer, message: ByteBuffer)
    /// Some of the last frame's body. `isLast`: its last bytes. Not empty, unless nothing was to come.
    case body(ByteBuffer, isLast: Bool)
  }

  private enum Expectation {
    case preface
    case header
    case parts(FrameHeader)
    case body(left: Int)
    case skip(left: Int)
  }

  /// The most bytes after a header.
  let maxPayload: Int
  /// The most bytes of a meta part.
  let maxMeta: Int
  private var expectation = Expectation.preface {
    didSet { if case .header = expectation { wholeFrames += 1 } }
  }
  /// What came in and wasn't looked at.
  private var input = ByteBuffer()
  /// The beginning of a preface, header or parts that came in pieces, while `wanted` bytes aren't whole.
  private(set) var gathered: ByteBuffer?
  /// Frames that came in whole, the preface among them.
  private(set) var wholeFrames: UInt64 = 0

  /// Expects a preface, then frames within `settings`, which are those of this side.
  init(settings: PeerSettings) {
    maxPayload = Int(settings.maxFramePayload)
    maxMeta = Int(settings.maxMeta)
  }

  /// Whether it waits in the middle of a frame or preface.
  var isInsideFrame: Bool {
    switch expectation {
    case .header: (gathered?.readableBytes ?? 0) + input.readableBytes > 0
    default: true
    }
  }

  /// What is left of the body that is coming in.
  var bodyLeft: Int {
    if case .body(let left) = expectation { left } else { 0 }
  }

  /// Bytes that are kept until the rest of their frame is there.
  var keptBytes: Int { gathered?.readableBytes ?? 0 }

  /// Lets go of what was read and taken.
  mutating func releaseInput() {
    if input.readableBytes == 0 { input = ByteBuffer() }
  }

  /// Takes bytes; `next()` is to be called until it returns nil before more are taken.
  mutating func feed(_ bytes: ByteBuffer) {
    precondition(input.readableBytes == 0, "events are taken before more bytes are fed")
    input = bytes
  }

  /// The next event; nil when more bytes are needed.
  ///
  /// - Throws: what the peer did wrong; the connection is to be closed.
  mutating func next() throws(ConnectionFailure) -> Event? {
    while true {
      switch expectation {
      case .preface:
        return try nextPreface()
      case .header:
        guard let header = try nextHeader() else {
          if case .skip = expectation { continue }
          return nil
        }
        expectation = .parts(header)
      case .parts(let header):
        return nextParts(header)
      case .body(let left):
        guard input.readableBytes > 0 else { return nil }
        let count = min(left, input.readableBytes)
        guard let bytes = input.readSlice(length: count) else { return nil }
        expectation = count == left ? .header : .body(left: left - count)
        return .body(bytes, isLast: count == left)
      case .skip(let left):
        let count = min(left, input.readableBytes)
        input.moveReaderIndex(forwardBy: count)
        guard count == left else {
          expectation = .skip(left: left - count)
          return nil
        }
        expectation = .header
      }
    }
  }

  private mutating func nextPreface() throws(ConnectionFailure) -> Event? {
    var bytes = gathered ?? input
    if gathered != nil { bytes.writeBuffer(&input) }
    guard let settings = try PeerSettings.read(from: &bytes) else {
      gathered = bytes
      input = ByteBuffer()
      return nil
    }
    gathered = nil
    input = bytes
    expectation = .header
    return .preface(settings)
  }

  private mutating func nextHeader() throws(ConnectionFailure) -> FrameHeader? {
    guard var bytes = take(FrameHeader.byteCount) else { return nil }
    guard
      let (payload, stream, type, flags, meta, message) = bytes.readMultipleIntegers(
        endianness: .little, as: (UInt32, UInt32, UInt8, UInt8, UInt16, UInt32).self)
    else { return nil }
    guard payload <= maxPayload else { throw ConnectionFailure("a frame of \(payload) bytes") }
    guard let known = FrameType(rawValue: type) else {
      guard FrameFlags(rawValue: flags).contains(.ignorable) else {
        throw ConnectionFailure("frame type \(type) is unknown", code: .unimplemented)
      }
      expectation = .skip(left: Int(payload))
      return nil
    }
    guard meta <= maxMeta else { throw ConnectionFailure("\(meta) bytes of meta") }
    guard UInt64(meta) + UInt64(message) <= UInt64(payload) else {
      throw ConnectionFailure("parts longer than their frame")
    }
    let header = FrameHeader(
      type: known, flags: FrameFlags(rawValue: flags), stream: stream, metaLength: Int(meta),
      messageLength: Int(message), bodyLength: Int(payload) - Int(meta) - Int(message))
    if let violation = header.violation { throw ConnectionFailure(violation) }
    return header
  }

  private mutating func nextParts(_ header: FrameHeader) -> Event? {
    guard var bytes = take(header.metaLength + header.messageLength),
      let meta = bytes.readSlice(length: header.metaLength),
      let message = bytes.readSlice(length: header.messageLength)
    else { return nil }
    expectation = header.bodyLength > 0 ? .body(left: header.bodyLength) : .header
    return .frame(header, meta: meta, message: message)
  }

  /// The next `count` bytes in one buffer; nil, and kept, while they aren't all there.
  private mutating func take(_ count: Int) -> ByteBuffer? {
    guard var begun = gathered else {
      if let slice = input.readSlice(length: count) { return slice }
      guard input.readableBytes > 0 else { return nil }
      // Not beyond what has come in: a length alone makes no memory grow.
      var buffer = ByteBuffer()
      buffer.reserveCapacity(min(count, max(2 * input.readableBytes, 1_024)))
      buffer.writeBuffer(&input)
      gathered = buffer
      return nil
    }
    gathered = nil
    if var part = input.readSlice(length: min(count - begun.readableBytes, input.readableBytes)) {
      begun.writeBuffer(&part)
    }
    guard begun.readableBytes < count else { return begun }
    gathered = begun
    return nil
  }
}
