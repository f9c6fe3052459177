/// Reads the few protobuf fields of the messages inside frames, straight from the bytes.
///
/// By hand, because every call has one: the generated adapters go through a C struct and an arena. A
/// test holds that both agree.
struct WireReader {
  private var bytes: UnsafeRawBufferPointer
  private var index = 0

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  /// The next field's number and wire type; nil at the end.
  ///
  /// - Throws: `Undecodable` when there is no valid tag.
  mutating func next() throws(Undecodable) -> (field: UInt64, wireType: UInt64)? {
    guard index < bytes.count else { return nil }
    let tag = try varint()
    guard tag >> 3 != 0, tag >> 3 < 1 << 29 else { throw Undecodable() }
    return (tag >> 3, tag & 7)
  }

  /// A varint.
  mutating func varint() throws(Undecodable) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), through: 63, by: 7) {
      guard index < bytes.count else { throw Undecodable() }
      let byte = bytes[index]
      index += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 {
        guard shift < 63 || byte <= 1 else { throw Undecodable() }
        return value
      }
    }
    throw Undecodable()
  }

  /// Bytes with their length before them.
  mutating func lengthDelimited() throws(Undecodable) -> UnsafeRawBufferPointer {
    let length = try varint()
    guard length <= UInt64(bytes.count - index) else { throw Undecodable() }
    defer { index += Int(length) }
    return UnsafeRawBufferPointer(rebasing: bytes[index..<(index + Int(length))])
  }

  /// A string.
  mutating func string() throws(Undecodable) -> String {
    let bytes = try lengthDelimited()
    guard let text = String(validating: bytes, as: UTF8.self) else { throw Undecodable() }
    return text
  }

  /// Passes over the value of an unknown field.
  mutating func skip(_ wireType: UInt64) throws(Undecodable) {
    switch wireType {
    case 0: _ = try varint()
    case 1: try advance(8)
    case 2: _ = try lengthDelimited()
    case 5: try advance(4)
    default: throw Undecodable()
    }
  }

  private mutating func advance(_ count: Int) throws(Undecodable) {
    guard bytes.count - index >= count else { throw Undecodable() }
    index += count
  }
}

/// Meta that isn't what the schema says.
struct Undecodable: Error, Hashable {}
