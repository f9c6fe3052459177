package import NIOCore

/// A CALL frame's meta: `holdfast.rpc.CallMeta`.
struct CallOpening: Sendable, Hashable {
  /// `/package.Service/Method`, or empty when the number stands for it.
  var method = ""
  /// The path's number on this connection; 0: none.
  var methodID: UInt32 = 0
  /// What is left of the deadline; 0: none.
  var timeoutMicroseconds: UInt64 = 0
  var metadata = Metadata()
}

/// How a call or a connection ended: `holdfast.rpc.EndMeta`.
struct CallEnding: Sendable, Hashable {
  var code = StatusCode.ok
  var message = ""
  var metadata = Metadata()
  /// A serialized `google.rpc.Status`, or empty.
  var details: [UInt8] = []
}

extension CallOpening {
  /// Appends the encoding.
  func encode(into buffer: inout ByteBuffer) {
    if !method.isEmpty { buffer.writeField(1, text: method) }
    if methodID != 0 { buffer.writeField(2, number: UInt64(methodID)) }
    if timeoutMicroseconds != 0 { buffer.writeField(3, number: timeoutMicroseconds) }
    metadata.encode(into: &buffer, field: 4)
  }

  /// Reads an encoding.
  init(decoding buffer: ByteBuffer) throws(Undecodable) {
    self.init()
    try buffer.decodeFields { (field, wireType, reader) throws(Undecodable) in
      switch (field, wireType) {
      case (1, 2): method = try reader.string()
      case (2, 0): methodID = UInt32(truncatingIfNeeded: try reader.varint())
      case (3, 0): timeoutMicroseconds = try reader.varint()
      case (4, 2): metadata.entries.append(try Metadata.Entry(decoding: &reader))
      default: try reader.skip(wireType)
      }
    }
  }
}

extension CallEnding {
  /// Appends the encoding.
  func encode(into buffer: inout ByteBuffer) {
    if code != .ok { buffer.writeField(1, number: UInt64(code.rawValue)) }
    if !message.isEmpty { buffer.writeField(2, text: message) }
    metadata.encode(into: &buffer, field: 3)
    if !details.isEmpty { buffer.writeField(4, bytes: details) }
  }

  /// Reads the meta of a frame that is no success, whatever it says: `code` where it says nothing, or nothing
  /// that can be read.
  init(decoding buffer: ByteBuffer, orElse code: StatusCode) {
    self = (try? CallEnding(decoding: buffer)) ?? CallEnding()
    if self.code == .ok { self.code = code }
  }

  /// Reads an encoding. A code that isn't one of gRPC's is `unknown`.
  init(decoding buffer: ByteBuffer) throws(Undecodable) {
    self.init()
    try buffer.decodeFields { (field, wireType, reader) throws(Undecodable) in
      switch (field, wireType) {
      case (1, 0):
        let number = UInt32(truncatingIfNeeded: try reader.varint())
        code = UInt8(exactly: number).flatMap(StatusCode.init) ?? .unknown
      case (2, 2): message = try reader.string()
      case (3, 2): metadata.entries.append(try Metadata.Entry(decoding: &reader))
      case (4, 2): details = Array(try reader.lengthDelimited())
      default: try reader.skip(wireType)
      }
    }
  }
}

extension Metadata {
  /// Reads a HEAD frame's meta: `holdfast.rpc.HeadMeta`.
  init(decodingHead buffer: ByteBuffer) throws(Undecodable) {
    self.init()
    try buffer.decodeFields { (field, wireType, reader) throws(Undecodable) in
      switch (field, wireType) {
      case (1, 2): entries.append(try Entry(decoding: &reader))
      default: try reader.skip(wireType)
      }
    }
  }

  /// Appends each entry as a `holdfast.rpc.MetadataEntry` in `field`.
  func encode(into buffer: inout ByteBuffer, field: UInt64) {
    for entry in entries {
      buffer.writeVarint(field << 3 | 2)
      buffer.writeVarint(UInt64(entry.encodedLength))
      if !entry.key.isEmpty { buffer.writeField(1, text: entry.key) }
      if !entry.value.isEmpty { buffer.writeField(2, bytes: entry.value) }
    }
  }

  /// Whether every key and value is one that may travel.
  var isValid: Bool {
    entries.allSatisfy(\.isValid)
  }

  /// Bytes that the entries take in a frame's meta part, at most.
  var encodedBytes: Int {
    entries.reduce(0) { $0 + $1.encodedLength + Self.mostTagBytes }
  }

  /// An entry's own tag and length.
  private static let mostTagBytes = 6
  /// The most bytes of metadata that a server's handler may send, before the responses or after: half
  /// of what a frame's meta part can hold, so that a status fits beside it.
  static let maxResponseBytes = 32 << 10
}

extension CallOpening {
  /// The most bytes of an opening without its method's path and metadata.
  static let fixedBytes = 32
}

extension Metadata.Entry {
  fileprivate init(decoding outer: inout WireReader) throws(Undecodable) {
    var reader = WireReader(try outer.lengthDelimited())
    self.init(key: "", value: [])
    while let (field, wireType) = try reader.next() {
      switch (field, wireType) {
      case (1, 2): key = try reader.string()
      case (2, 2): value = Array(try reader.lengthDelimited())
      default: try reader.skip(wireType)
      }
    }
    guard isValid else { throw Undecodable() }
  }

  fileprivate var encodedLength: Int {
    func length(_ count: Int) -> Int {
      count == 0 ? 0 : 1 + ByteBuffer.varintLength(UInt64(count)) + count
    }
    return length(key.utf8.count) + length(value.count)
  }

  fileprivate var isValid: Bool {
    guard !key.isEmpty else { return false }
    let isKeyValid = key.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
        true
      default: false
      }
    }
    return isKeyValid && (key.hasSuffix("-bin") || value.allSatisfy { (0x20...0x7e).contains($0) })
  }
}

extension ByteBuffer {
  /// Hands each field's number, wire type and value to `read`, which takes the value.
  fileprivate func decodeFields(
    _ read: (UInt64, UInt64, inout WireReader) throws(Undecodable) -> Void
  ) throws(Undecodable) {
    let result = withUnsafeReadableBytes { bytes -> Result<Void, Undecodable> in
      var reader = WireReader(bytes)
      do throws(Undecodable) {
        while let (field, wireType) = try reader.next() {
          try read(field, wireType, &reader)
        }
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  /// Appends a number in groups of seven bits.
  package mutating func writeVarint(_ value: UInt64) {
    var left = value
    while left >= 0x80 {
      writeInteger(UInt8(truncatingIfNeeded: left) | 0x80)
      left >>= 7
    }
    writeInteger(UInt8(left))
  }

  fileprivate static func varintLength(_ value: UInt64) -> Int {
    max(1, (64 - value.leadingZeroBitCount + 6) / 7)
  }

  fileprivate mutating func writeField(_ field: UInt64, number: UInt64) {
    writeVarint(field << 3)
    writeVarint(number)
  }

  fileprivate mutating func writeField(_ field: UInt64, text: String) {
    writeVarint(field << 3 | 2)
    writeVarint(UInt64(text.utf8.count))
    writeString(text)
  }

  fileprivate mutating func writeField(_ field: UInt64, bytes: [UInt8]) {
    writeVarint(field << 3 | 2)
    writeVarint(UInt64(bytes.count))
    writeBytes(bytes)
  }
}
