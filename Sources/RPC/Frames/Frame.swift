internal import NIOCore

/// What a frame is about: see `Protos/FRAMING.md`, section 2.
enum FrameType: UInt8, Sendable, Hashable, CaseIterable {
  case call = 1
  case head = 2
  case message = 3
  case body = 4
  case end = 5
  case cancel = 6
  case window = 7
  case ping = 8
  case goAway = 9
  case settings = 10
  case error = 11
  case refuse = 12
}

/// A frame's flags.
struct FrameFlags: OptionSet, Sendable, Hashable {
  var rawValue: UInt8

  static let endStream = FrameFlags(rawValue: 0x01)
  static let message = FrameFlags(rawValue: 0x02)
  static let moreMessage = FrameFlags(rawValue: 0x04)
  static let moreBody = FrameFlags(rawValue: 0x08)
  static let ack = FrameFlags(rawValue: 0x10)
  static let ignorable = FrameFlags(rawValue: 0x80)
}

/// The 16 bytes before a frame's payload.
struct FrameHeader: Sendable, Hashable {
  /// Bytes of a header.
  static let byteCount = 16

  var type: FrameType
  var flags: FrameFlags = []
  /// 0: the connection.
  var stream: UInt32
  var metaLength = 0
  var messageLength = 0
  var bodyLength = 0

  /// Meta, message and body.
  var payloadLength: Int { metaLength + messageLength + bodyLength }

  /// What the frame takes of the credit of its call and of the connection.
  var cost: UInt64 {
    switch type {
    case .call, .message, .end, .body:
      flags.contains(.message) || type == .body
        ? FrameHeader.fixedCost + UInt64(messageLength) + UInt64(bodyLength) : 0
    default: 0
    }
  }

  /// What a frame with a message costs beside its bytes, so that empty ones are bounded too.
  static let fixedCost: UInt64 = 64
}

extension FrameHeader {
  /// Overwrites the 16 bytes at `index`, which were written before.
  func write(into buffer: inout ByteBuffer, at index: Int) {
    buffer.setInteger(UInt32(payloadLength), at: index, endianness: .little)
    buffer.setInteger(stream, at: index + 4, endianness: .little)
    buffer.setInteger(type.rawValue, at: index + 8)
    buffer.setInteger(flags.rawValue, at: index + 9)
    buffer.setInteger(UInt16(metaLength), at: index + 10, endianness: .little)
    buffer.setInteger(UInt32(messageLength), at: index + 12, endianness: .little)
  }

  /// Appends the header.
  func write(into buffer: inout ByteBuffer) {
    buffer.reserveCapacity(minimumWritableBytes: FrameHeader.byteCount)
    write(into: &buffer, at: buffer.writerIndex)
    buffer.moveWriterIndex(forwardBy: FrameHeader.byteCount)
  }

  /// A rule that this header breaks by itself, whatever came before it; nil: none.
  var violation: String? {
    if !flags.subtracting(type.allowedFlags).isEmpty { return "a flag that \(type) hasn't" }
    if type != .window, (stream == 0) != type.isAboutConnection {
      return "\(type) with stream id \(stream)"
    }
    if metaLength > 0 && !type.hasMeta { return "\(type) with meta" }
    switch type {
    case .call, .message, .end: return messageViolation
    case .body:
      if messageLength > 0 { return "body with a message part" }
      if flags.isSuperset(of: [.endStream, .moreBody]) { return "end of stream with more body" }
      return nil
    case .settings: return "settings are reserved"
    default:
      if bodyLength > 0 { return "\(type) with a body" }
      return messageLength == type.fixedMessageLength ? nil : "\(type) of another length"
    }
  }

  private var messageViolation: String? {
    guard flags.contains(.message) else {
      if messageLength > 0 || bodyLength > 0 { return "bytes without the flag message" }
      if flags.contains(.moreMessage) || flags.contains(.moreBody) { return "more of no message" }
      if type == .message && flags != [.endStream] { return "an empty frame" }
      return nil
    }
    if flags.contains(.moreMessage) {
      if flags.contains(.moreBody) || bodyLength > 0 { return "a body before its message" }
      if flags.contains(.endStream) { return "end of stream with more message" }
    }
    if flags.isSuperset(of: [.endStream, .moreBody]) { return "end of stream with more body" }
    return nil
  }
}

extension FrameType {
  /// The flags that may stand on it.
  var allowedFlags: FrameFlags {
    switch self {
    case .call, .message: [.endStream, .message, .moreMessage, .moreBody]
    case .body: [.endStream, .moreBody]
    case .end: [.message]
    case .ping: [.ack]
    case .head, .cancel, .window, .goAway, .settings, .error, .refuse: []
    }
  }

  /// Whether its stream id is 0; `window` may have either.
  fileprivate var isAboutConnection: Bool {
    switch self {
    case .ping, .goAway, .settings, .error: true
    default: false
    }
  }

  fileprivate var hasMeta: Bool {
    switch self {
    case .call, .head, .end, .cancel, .goAway, .error, .refuse: true
    case .message, .body, .window, .ping, .settings: false
    }
  }

  /// The message part's length, for a type that always has the same.
  fileprivate var fixedMessageLength: Int {
    switch self {
    case .window, .ping: 8
    case .goAway: 4
    default: 0
    }
  }
}

/// Why a whole connection ends: what its ERROR frame says.
struct ConnectionFailure: Error, Sendable, Hashable {
  var code: StatusCode
  var message: String
  /// The peer's preface is one, but its settings break a rule: it may be told, before frames are.
  var isOfSettings: Bool

  init(_ message: String, code: StatusCode = .internal, isOfSettings: Bool = false) {
    self.code = code
    self.message = message
    self.isOfSettings = isOfSettings
  }
}
