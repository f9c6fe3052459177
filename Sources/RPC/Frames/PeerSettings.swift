internal import NIOCore

/// What one side of a connection takes from the other: the settings of its preface.
struct PeerSettings: Sendable, Hashable {
  var maxFramePayload: UInt64 = 1_114_112
  var maxMessage: UInt64 = 4 << 20
  var maxBody: UInt64 = 64 << 20
  var maxMeta: UInt64 = 65_535
  var maxCalls: UInt64 = 1_024
  var callWindow: UInt64 = 4 << 20
  var connectionWindow: UInt64 = 64 << 20
  var minPingIntervalMilliseconds: UInt64 = 1_000

  /// The defaults.
  init() {}

  /// The most bytes of a meta part: no more than a frame.
  var mostMeta: Int { Int(min(maxMeta, maxFramePayload)) }

  /// What `configuration` says, at least the least that the frames allow.
  init(_ configuration: ConnectionConfiguration) {
    maxFramePayload = UInt64(max(configuration.maxFramePayloadBytes, 16_384))
    maxMessage = UInt64(max(configuration.maxMessageBytes, 16_384))
    maxBody = UInt64(max(configuration.maxBodyBytes, 0))
    maxMeta = UInt64(min(max(configuration.maxMetaBytes, 1_024), 65_535))
    maxCalls = UInt64(max(configuration.maxCalls, 1))
    callWindow = UInt64(max(configuration.callWindowBytes, 65_536))
    connectionWindow = UInt64(max(configuration.connectionWindowBytes, 65_536))
  }

  /// Every known setting: its id, where it is kept, its least value.
  private static var known:
    [(id: UInt16, path: WritableKeyPath<PeerSettings, UInt64>, least: UInt64)]
  {
    [
      (1, \.maxFramePayload, 16_384), (2, \.maxMessage, 16_384), (3, \.maxBody, 0),
      (4, \.maxMeta, 1_024), (5, \.maxCalls, 1), (6, \.callWindow, 65_536),
      (7, \.connectionWindow, 65_536), (8, \.minPingIntervalMilliseconds, 0),
    ]
  }
}

/// The first bytes of a connection, each way.
enum Preface {
  static let magic: [UInt8] = [0x89, 0x48, 0x46, 0x52, 0x50, 0x43, 0x0d, 0x0a]
  /// Bytes before the settings.
  static let fixedLength = 16
  /// The most bytes of settings.
  static let maxSettingsLength = 4_096
  static let version: UInt8 = 1
}

extension PeerSettings {
  /// The preface that tells these settings.
  var preface: ByteBuffer {
    var buffer = ByteBuffer(bytes: Preface.magic)
    buffer.writeInteger(Preface.version)
    buffer.writeInteger(Preface.version)
    buffer.writeInteger(0, endianness: .little, as: UInt16.self)
    let known = PeerSettings.known
    buffer.writeInteger(UInt32(known.count * 12), endianness: .little)
    for setting in known {
      buffer.writeInteger(setting.id, endianness: .little)
      buffer.writeInteger(8, endianness: .little, as: UInt16.self)
      buffer.writeInteger(self[keyPath: setting.path], endianness: .little)
    }
    return buffer
  }

  /// Takes a whole preface off the front of `buffer`; nil while it isn't whole.
  ///
  /// - Throws: as soon as what is there can't be the beginning of one.
  static func read(from buffer: inout ByteBuffer) throws(ConnectionFailure) -> PeerSettings? {
    let bytes = buffer.readableBytesView.prefix(Preface.magic.count)
    guard Preface.magic.starts(with: bytes) else {
      // A TLS record: a client's first handshake message, or a server's alert about what it heard.
      let isTLS = bytes.first.map { (0x15...0x16).contains($0) } ?? false
      throw ConnectionFailure(
        isTLS
          ? "the other side speaks TLS, and this side doesn't"
          : "this isn't a Holdfast connection",
        code: isTLS ? .unauthenticated : .internal)
    }
    let start = buffer.readerIndex
    guard buffer.readableBytes >= Preface.fixedLength,
      let least: UInt8 = buffer.getInteger(at: start + 8),
      let most: UInt8 = buffer.getInteger(at: start + 9),
      let length: UInt32 = buffer.getInteger(at: start + 12, endianness: .little)
    else { return nil }
    guard least <= Preface.version, most >= Preface.version else {
      throw ConnectionFailure(
        "no common version: the peer speaks \(least) to \(most)", code: .unimplemented)
    }
    guard length <= Preface.maxSettingsLength else {
      throw ConnectionFailure("\(length) bytes of settings", isOfSettings: true)
    }
    guard buffer.readableBytes >= Preface.fixedLength + Int(length) else { return nil }
    buffer.moveReaderIndex(forwardBy: Preface.fixedLength)
    var settings = PeerSettings()
    guard var encoded = buffer.readSlice(length: Int(length)) else { return nil }
    try settings.apply(&encoded)
    return settings
  }

  private mutating func apply(_ encoded: inout ByteBuffer) throws(ConnectionFailure) {
    while encoded.readableBytes > 0 {
      guard let id: UInt16 = encoded.readInteger(endianness: .little),
        let length: UInt16 = encoded.readInteger(endianness: .little),
        var value = encoded.readSlice(length: Int(length))
      else { throw ConnectionFailure("settings end in the middle of one", isOfSettings: true) }
      guard let setting = PeerSettings.known.first(where: { $0.id == id }) else { continue }
      guard length == 8, let number: UInt64 = value.readInteger(endianness: .little) else {
        throw ConnectionFailure("setting \(id) has \(length) bytes", isOfSettings: true)
      }
      guard number >= setting.least else {
        throw ConnectionFailure(
          "setting \(id) is \(number), less than \(setting.least)", isOfSettings: true)
      }
      self[keyPath: setting.path] = min(number, 1 << 62)
    }
    // A frame's header has 16 bits for it: nobody can take more.
    maxMeta = min(maxMeta, UInt64(UInt16.max))
  }
}
