internal import NIOCore
internal import Schema

/// A message as it came in: not decoded yet.
struct InboundMessage: Sendable, Hashable {
  /// The message part.
  var bytes = ByteBuffer()
  var body = Body()
  /// The cost of its frames: credit that goes back when the application takes it.
  var cost: UInt64 = 0
}

extension ByteBuffer {
  /// Whether it is a small part of what it keeps in memory.
  fileprivate var isWasteful: Bool { readableBytes < storageCapacity / 4 }

  /// The same bytes in a buffer of their own.
  var copied: ByteBuffer {
    var copy = ByteBufferAllocator().buffer(capacity: readableBytes)
    copy.writeImmutableBuffer(self)
    return copy
  }
}

extension FrameHeader {
  /// Whether its message isn't whole with its parts: more of it, or a body, has to come.
  fileprivate var hasMore: Bool {
    bodyLength > 0 || !flags.isDisjoint(with: [.moreMessage, .moreBody])
  }
}

/// A message that comes in over several frames.
struct MessageAssembly: Sendable, Hashable {
  enum Phase: Sendable, Hashable {
    /// Between messages.
    case idle
    /// The message part isn't whole.
    case messagePart
    /// The message part is whole, the body isn't.
    case body
  }

  private(set) var phase = Phase.idle
  private(set) var message = InboundMessage()
  /// Small pieces of the body, copied together.
  private var crumbs = ByteBuffer()

  /// Crumbs make a piece when there are so many.
  private static let pieceBytes = 64 << 10

  /// What a frame adds up to its body; nil, or the reason why the call has to end.
  ///
  /// - Throws: when the frame can't stand here.
  mutating func add(
    _ header: FrameHeader, message bytes: ByteBuffer, limits: PeerSettings
  ) throws(ConnectionFailure) -> CallEnding? {
    if header.type == .body {
      guard phase == .body else { throw ConnectionFailure("a body out of place") }
    } else if header.flags.contains(.message) {
      switch phase {
      case .idle: message.bytes = header.hasMore && bytes.isWasteful ? bytes.copied : bytes
      case .messagePart where header.type == .message: message.bytes.writeImmutableBuffer(bytes)
      default: throw ConnectionFailure("a message inside another")
      }
      phase = header.flags.contains(.moreMessage) ? .messagePart : .body
    } else {
      guard phase == .idle else { throw ConnectionFailure("an end inside a message") }
    }
    message.cost += header.cost
    if message.bytes.readableBytes > limits.maxMessage {
      return CallEnding(
        code: .resourceExhausted, message: "a message of more than \(limits.maxMessage) bytes")
    }
    if UInt64(message.body.count + crumbs.readableBytes + header.bodyLength) > limits.maxBody {
      return CallEnding(
        code: .resourceExhausted, message: "a body of more than \(limits.maxBody) bytes")
    }
    return nil
  }

  /// Some of a frame's body.
  mutating func add(body: ByteBuffer) {
    assert(phase == .body, "a body follows its message part")
    guard !body.isWasteful else {
      crumbs.writeImmutableBuffer(body)
      if crumbs.readableBytes >= Self.pieceBytes { sweep() }
      return
    }
    sweep()
    message.body.append(body)
  }

  private mutating func sweep() {
    message.body.append(crumbs)
    crumbs = ByteBuffer()
  }

  /// A frame is whole: the message, when it was its last one.
  mutating func finishFrame(_ header: FrameHeader) -> InboundMessage? {
    guard header.type == .body || header.flags.contains(.message),
      header.flags.isDisjoint(with: [.moreMessage, .moreBody])
    else { return nil }
    sweep()
    defer { self = MessageAssembly() }
    return message
  }
}
