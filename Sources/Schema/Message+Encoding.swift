internal import CProtobufC
public import NIOCore

extension Message {
  /// Appends the encoded message without its body's bytes, and returns the body: the two together
  /// are the message as plain protobuf.
  ///
  /// When there is a body, what is appended ends with the body field's tag and length. Throws
  /// when messages are nested deeper than 100 or it has more than 2 GiB; nothing is appended then.
  @inlinable
  @discardableResult
  public func encode(into buffer: inout ByteBuffer) throws(SchemaError) -> Body {
    let body = messageBody
    try Arena.with { arena throws(SchemaError) in
      let memory = try arena.values(CStruct.self, 1)
      try fill(memory, in: arena)
      try arena.appendPacked(memory, to: &buffer, bodyField: Self.bodyField, bodyCount: body.count)
    }
    return body
  }

  /// The message as plain protobuf, its body included.
  @inlinable
  public func encodedBytes() throws(SchemaError) -> [UInt8] {
    var buffer = ByteBuffer()
    let body = try encode(into: &buffer)
    for piece in body.pieces { buffer.writeImmutableBuffer(piece) }
    return Array(buffer.readableBytesView)
  }
}

extension Arena {
  /// Packs a filled C struct into the buffer, and after it the tag and length of a body that isn't
  /// empty.
  @usableFromInline
  func appendPacked(
    _ filled: UnsafeMutableRawPointer, to buffer: inout ByteBuffer, bodyField: UInt32?,
    bodyCount: Int
  ) throws(SchemaError) {
    var encoder = WireEncoder(filled, arena: state)
    let length = try encoder.pack()
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length + BodySuffix.greatestLength) {
      guard let start = $0.baseAddress else { return 0 }
      encoder.copy(to: start)
      guard let bodyField, bodyCount > 0 else { return length }
      let suffix = BodySuffix(field: bodyField, count: bodyCount)
      return length + suffix.write(to: (start + length).assumingMemoryBound(to: UInt8.self))
    }
  }
}

/// The tag and length that end the message part of a message with a body.
struct BodySuffix {
  /// The field's tag as a number.
  let tag: UInt64
  /// Bytes of the body.
  let count: UInt64

  /// The most bytes that a suffix takes: 5 for the tag, 10 for the length.
  static let greatestLength = 15

  init(field: UInt32, count: Int) {
    tag = UInt64(field) << 3 | UInt64(PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED.rawValue)
    self.count = UInt64(count)
  }

  /// Writes the suffix; returns its length in bytes.
  func write(to target: UnsafeMutablePointer<UInt8>) -> Int {
    var length = 0
    for number in [tag, count] {
      var rest = number
      while rest >= 0x80 {
        target[length] = UInt8(truncatingIfNeeded: rest) | 0x80
        rest >>= 7
        length += 1
      }
      target[length] = UInt8(truncatingIfNeeded: rest)
      length += 1
    }
    return length
  }
}
