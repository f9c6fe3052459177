internal import CProtobufC

// What stands on the wire: tags, numbers, lengths, groups.
extension WireDecoder {
  /// Reads a tag.
  @inline(__always)
  func tag(
    _ at: inout Bytes, _ end: Bytes, _ descriptor: Descriptor
  ) throws(SchemaError) -> Tag {
    var tag = UInt64(at[0])
    if tag < 0x80 {
      at += 1
    } else {
      guard let long = Self.varint(&at, end, greatestLength: 5) else {
        throw at == end
          ? fault(.truncated, descriptor, nil, "ends in the middle of a tag")
          : fault(.invalidTag, descriptor, nil, "a tag of more than five bytes")
      }
      tag = long
    }
    let number = tag >> 3
    guard number > 0, number <= Self.greatestNumber else {
      throw fault(.invalidTag, descriptor, nil, "no field has the number \(number)")
    }
    return Tag(number: UInt32(number), wireType: UInt32(tag & 7))
  }

  /// Reads a field's value, and steps over it.
  @inline(__always)
  func value(
    _ at: inout Bytes, _ end: Bytes, _ tag: Tag, _ descriptor: Descriptor, _ field: Field?,
    level: Int
  ) throws(SchemaError) -> Value {
    let start = at
    switch tag.wireType {
    case Tag.varint:
      guard let number = Self.varint(&at, end, greatestLength: 10) else {
        throw badVarint(at, end, descriptor, field, tag.number)
      }
      return Value(number: number, start: start, end: at)
    case Tag.fixed64:
      guard end - at >= 8 else { throw truncated(descriptor, field, tag.number) }
      at += 8
      let number = UnsafeRawPointer(start).loadUnaligned(as: UInt64.self)
      return Value(number: UInt64(littleEndian: number), start: start, end: at)
    case Tag.delimited:
      guard let length = Self.varint(&at, end, greatestLength: 5) else {
        throw badVarint(at, end, descriptor, field, tag.number)
      }
      guard length <= UInt64(end - at), length <= UInt64(Int32.max) else {
        throw truncated(descriptor, field, tag.number)
      }
      let contents = at
      at += Int(length)
      return Value(start: contents, end: at)
    case Tag.fixed32:
      guard end - at >= 4 else { throw truncated(descriptor, field, tag.number) }
      at += 4
      let number = UnsafeRawPointer(start).loadUnaligned(as: UInt32.self)
      return Value(number: UInt64(UInt32(littleEndian: number)), start: start, end: at)
    case Tag.groupStart:
      try skipGroup(tag.number, &at, end, descriptor, level: level + 1)
      return Value(start: start, end: at)
    case Tag.groupEnd:
      throw fault(.invalidTag, descriptor, field, "group \(tag.number) ends without a beginning")
    default:
      throw fault(.invalidTag, descriptor, field, "field \(tag.number) has no known wire type")
    }
  }

  /// Steps behind the end of a group whose beginning was read.
  private func skipGroup(
    _ number: UInt32, _ at: inout Bytes, _ end: Bytes, _ descriptor: Descriptor, level: Int
  ) throws(SchemaError) {
    guard level <= depth else {
      throw fault(.tooDeep, descriptor, nil, "nested deeper than \(depth) messages")
    }
    while at < end {
      let tag = try self.tag(&at, end, descriptor)
      if tag.wireType == Tag.groupEnd {
        guard tag.number == number else {
          throw fault(.invalidTag, descriptor, nil, "group \(tag.number) ends inside \(number)")
        }
        return
      }
      _ = try value(&at, end, tag, descriptor, nil, level: level)
    }
    throw truncated(descriptor, nil, number)
  }

  /// Reads a varint of at most `greatestLength` bytes; nil when it is longer (`at` is not moved)
  /// or cut off (`at` is moved to the end).
  @inline(__always)
  static func varint(_ at: inout Bytes, _ end: Bytes, greatestLength: Int) -> UInt64? {
    if at < end, at[0] < 0x80 {
      defer { at += 1 }
      return UInt64(at[0])
    }
    return longVarint(&at, end, greatestLength: greatestLength)
  }

  private static func longVarint(_ at: inout Bytes, _ end: Bytes, greatestLength: Int) -> UInt64? {
    var number: UInt64 = 0
    var length = 0
    while length < greatestLength {
      guard end - at > length else {
        at = end
        return nil
      }
      let byte = at[length]
      number |= UInt64(byte & 0x7f) << UInt64(7 * length)
      length += 1
      if byte < 0x80 {
        at += length
        return number
      }
    }
    return nil
  }

  /// The wire type of a field's value, or of one element.
  @inline(__always)
  static func wireType(_ type: ProtobufCType) -> UInt32 {
    switch type {
    case PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_FLOAT: Tag.fixed32
    case PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_DOUBLE: Tag.fixed64
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_MESSAGE: Tag.delimited
    default: Tag.varint
    }
  }

  /// Bytes of one value in the C struct.
  @inline(__always)
  static func size(_ type: ProtobufCType) -> Int {
    switch type {
    case PROTOBUF_C_TYPE_BYTES: MemoryLayout<ProtobufCBinaryData>.stride
    case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_SINT64,
      PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_DOUBLE,
      PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_MESSAGE:
      8
    default: 4
    }
  }
}
