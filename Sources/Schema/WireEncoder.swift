internal import CProtobufC

/// Packs a filled C struct as `protobuf_c_message_pack` does, but for strings that hold a NUL and for
/// −0.0, which is no default.
///
/// Two passes over the struct: the first finds the lengths of everything that has one on the wire and
/// notes them, the second writes, and takes the lengths in the same order.
struct WireEncoder {
  typealias Field = UnsafePointer<ProtobufCFieldDescriptor>
  typealias Output = UnsafeMutablePointer<UInt8>

  private let arena: UnsafeMutablePointer<ArenaState>
  /// Lengths of messages and packed fields, in the order in which they are written.
  private var lengths: UnsafeMutablePointer<UInt32>
  private var count = 0
  private var capacity = 0

  /// Notes lengths in an arena.
  init(arena: UnsafeMutablePointer<ArenaState>) {
    self.arena = arena
    // Never read before it is written: `note` makes room first.
    lengths = UnsafeMutableRawPointer(arena).assumingMemoryBound(to: UInt32.self)
  }

  // MARK: How long

  /// The length of a message in bytes.
  ///
  /// - Throws: `tooMuchMemory`; `tooLarge` for 2 GiB and more, which no length can say.
  mutating func measure(_ message: UnsafeRawPointer) throws(SchemaError) -> Int {
    let base = message.assumingMemoryBound(to: ProtobufCMessage.self)
    guard let descriptor = base.pointee.descriptor else { return 0 }
    var total = 0
    for index in 0..<Int(descriptor.pointee.n_fields) {
      let field = descriptor.pointee.fields + index
      let place = message + Int(field.pointee.offset)
      if field.pointee.label == PROTOBUF_C_LABEL_REPEATED {
        let count = (message + Int(field.pointee.quantifier_offset)).load(as: Int.self)
        if count > 0 { total += try measureList(field, place, count) }
      } else if Self.isPresent(field, message) {
        total += Self.tagLength(field)
        total += try measureValue(field.pointee.type, place)
      }
    }
    for index in 0..<Int(base.pointee.n_unknown_fields) {
      let unknown = base.pointee.unknown_fields + index
      total += Self.varintLength(UInt64(unknown.pointee.tag) << 3) + unknown.pointee.len
    }
    guard total <= Int(Int32.max) else {
      throw SchemaError(
        .tooLarge, message: String(cString: descriptor.pointee.name),
        text: "\(total) bytes are more than a message can have")
    }
    return total
  }

  private mutating func measureList(
    _ field: Field, _ place: UnsafeRawPointer, _ count: Int
  ) throws(SchemaError) -> Int {
    let type = field.pointee.type
    let list = place.load(as: UnsafeRawPointer.self)
    let size = WireDecoder.size(type)
    var total = 0
    guard field.pointee.flags & PROTOBUF_C_FIELD_FLAG_PACKED.rawValue != 0 else {
      for index in 0..<count { total += try measureValue(type, list + index * size) }
      return total + count * Self.tagLength(field)
    }
    if WireDecoder.wireType(type) == WireDecoder.Tag.varint {
      for index in 0..<count {
        total += Self.varintLength(Self.number(type, list + index * size))
      }
    } else {
      total = count * size
    }
    try note(total)
    return Self.tagLength(field) + Self.varintLength(UInt64(total)) + total
  }

  private mutating func measureValue(
    _ type: ProtobufCType, _ place: UnsafeRawPointer
  ) throws(SchemaError) -> Int {
    switch type {
    case PROTOBUF_C_TYPE_MESSAGE:
      let slot = count
      try note(0)
      let message = place.load(as: UnsafeRawPointer?.self)
      let length = try message.map { message throws(SchemaError) in try measure(message) } ?? 0
      lengths[slot] = UInt32(length)
      return Self.varintLength(UInt64(length)) + length
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES:
      let length = Self.bytes(type, place).count
      return Self.varintLength(UInt64(length)) + length
    default:
      switch WireDecoder.wireType(type) {
      case WireDecoder.Tag.fixed32: return 4
      case WireDecoder.Tag.fixed64: return 8
      default: return Self.varintLength(Self.number(type, place))
      }
    }
  }

  private mutating func note(_ length: Int) throws(SchemaError) {
    if count == capacity {
      let wanted = max(64, 2 * capacity)
      guard let grown = Arena.allocate(arena, wanted * MemoryLayout<UInt32>.stride) else {
        throw Arena.outOfMemory
      }
      let moved = grown.bindMemory(to: UInt32.self, capacity: wanted)
      moved.initialize(from: lengths, count: count)
      lengths = moved
      capacity = wanted
    }
    lengths[count] = UInt32(truncatingIfNeeded: length)
    count += 1
  }

  // MARK: Writing

  /// Begins again at the first length.
  mutating func rewind() {
    count = 0
  }

  /// Writes a message that was measured; moves `output` behind it.
  mutating func write(_ message: UnsafeRawPointer, to output: inout Output) {
    let base = message.assumingMemoryBound(to: ProtobufCMessage.self)
    guard let descriptor = base.pointee.descriptor else { return }
    for index in 0..<Int(descriptor.pointee.n_fields) {
      let field = descriptor.pointee.fields + index
      let place = message + Int(field.pointee.offset)
      if field.pointee.label == PROTOBUF_C_LABEL_REPEATED {
        let count = (message + Int(field.pointee.quantifier_offset)).load(as: Int.self)
        if count > 0 { writeList(field, place, count, to: &output) }
      } else if Self.isPresent(field, message) {
        Self.writeTag(field, WireDecoder.wireType(field.pointee.type), to: &output)
        writeValue(field.pointee.type, place, to: &output)
      }
    }
    for index in 0..<Int(base.pointee.n_unknown_fields) {
      let unknown = base.pointee.unknown_fields[index]
      Self.write(UInt64(unknown.tag) << 3 | UInt64(unknown.wire_type.rawValue), to: &output)
      Self.write(UnsafeBufferPointer(start: unknown.data, count: unknown.len), to: &output)
    }
  }

  private mutating func writeList(
    _ field: Field, _ place: UnsafeRawPointer, _ count: Int, to output: inout Output
  ) {
    let type = field.pointee.type
    let list = place.load(as: UnsafeRawPointer.self)
    let size = WireDecoder.size(type)
    let wireType = WireDecoder.wireType(type)
    guard field.pointee.flags & PROTOBUF_C_FIELD_FLAG_PACKED.rawValue != 0 else {
      for index in 0..<count {
        Self.writeTag(field, wireType, to: &output)
        writeValue(type, list + index * size, to: &output)
      }
      return
    }
    Self.writeTag(field, WireDecoder.Tag.delimited, to: &output)
    Self.write(UInt64(nextLength()), to: &output)
    if wireType == WireDecoder.Tag.varint {
      for index in 0..<count { Self.write(Self.number(type, list + index * size), to: &output) }
    } else {
      let bytes = UnsafeRawBufferPointer(start: list, count: count * size)
      Self.write(bytes.bindMemory(to: UInt8.self), to: &output)
    }
  }

  private mutating func writeValue(
    _ type: ProtobufCType, _ place: UnsafeRawPointer, to output: inout Output
  ) {
    switch type {
    case PROTOBUF_C_TYPE_MESSAGE:
      Self.write(UInt64(nextLength()), to: &output)
      if let message = place.load(as: UnsafeRawPointer?.self) { write(message, to: &output) }
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES:
      let bytes = Self.bytes(type, place)
      Self.write(UInt64(bytes.count), to: &output)
      Self.write(bytes, to: &output)
    default:
      switch WireDecoder.wireType(type) {
      case WireDecoder.Tag.fixed32:
        UnsafeMutableRawPointer(output).copyMemory(from: place, byteCount: 4)
        output += 4
      case WireDecoder.Tag.fixed64:
        UnsafeMutableRawPointer(output).copyMemory(from: place, byteCount: 8)
        output += 8
      default: Self.write(Self.number(type, place), to: &output)
      }
    }
  }

  private mutating func nextLength() -> UInt32 {
    defer { count += 1 }
    return lengths[count]
  }
}

// What the two passes share.
extension WireEncoder {
  /// Whether a field that may be there once is there.
  @inline(__always)
  fileprivate static func isPresent(_ field: Field, _ message: UnsafeRawPointer) -> Bool {
    let place = message + Int(field.pointee.offset)
    let quantifier = message + Int(field.pointee.quantifier_offset)
    let type = field.pointee.type
    if field.pointee.flags & PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue != 0 {
      return quantifier.load(as: UInt32.self) == field.pointee.id
    }
    switch field.pointee.label {
    case PROTOBUF_C_LABEL_REQUIRED: return true
    case PROTOBUF_C_LABEL_OPTIONAL
    where type != PROTOBUF_C_TYPE_STRING && type != PROTOBUF_C_TYPE_MESSAGE:
      return quantifier.load(as: protobuf_c_boolean.self) != 0
    case PROTOBUF_C_LABEL_OPTIONAL: return place.load(as: UnsafeRawPointer?.self) != nil
    default: break
    }
    switch type {
    case PROTOBUF_C_TYPE_MESSAGE: return place.load(as: UnsafeRawPointer?.self) != nil
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES: return !bytes(type, place).isEmpty
    default:
      // By the bits: −0.0 is no default.
      return WireDecoder.size(type) == 8
        ? place.load(as: UInt64.self) != 0 : place.load(as: UInt32.self) != 0
    }
  }

  /// A number as it is written as a varint.
  @inline(__always)
  fileprivate static func number(_ type: ProtobufCType, _ place: UnsafeRawPointer) -> UInt64 {
    switch type {
    case PROTOBUF_C_TYPE_UINT32: return UInt64(place.load(as: UInt32.self))
    case PROTOBUF_C_TYPE_BOOL: return place.load(as: UInt32.self) == 0 ? 0 : 1
    case PROTOBUF_C_TYPE_SINT32:
      let value = place.load(as: Int32.self)
      return UInt64(UInt32(bitPattern: value << 1 ^ value >> 31))
    case PROTOBUF_C_TYPE_SINT64:
      let value = place.load(as: Int64.self)
      return UInt64(bitPattern: value << 1 ^ value >> 63)
    case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_UINT64: return place.load(as: UInt64.self)
    default: return UInt64(bitPattern: Int64(place.load(as: Int32.self)))
    }
  }

  /// The bytes of a string or bytes field.
  @inline(__always)
  fileprivate static func bytes(
    _ type: ProtobufCType, _ place: UnsafeRawPointer
  ) -> UnsafeBufferPointer<UInt8> {
    if type == PROTOBUF_C_TYPE_STRING {
      return ArenaString.utf8(place.load(as: UnsafePointer<CChar>?.self))
    }
    let data = place.load(as: ProtobufCBinaryData.self)
    return UnsafeBufferPointer(start: data.data, count: data.data == nil ? 0 : data.len)
  }

  /// Bytes that a varint takes.
  @inline(__always)
  static func varintLength(_ number: UInt64) -> Int {
    (70 - (number | 1).leadingZeroBitCount) / 7
  }

  @inline(__always)
  private static func tagLength(_ field: Field) -> Int {
    varintLength(UInt64(field.pointee.id) << 3)
  }

  @inline(__always)
  private static func writeTag(_ field: Field, _ wireType: UInt32, to output: inout Output) {
    write(UInt64(field.pointee.id) << 3 | UInt64(wireType), to: &output)
  }

  /// Writes a varint.
  @inline(__always)
  private static func write(_ number: UInt64, to output: inout Output) {
    var rest = number
    while rest >= 0x80 {
      output.pointee = UInt8(truncatingIfNeeded: rest) | 0x80
      output += 1
      rest >>= 7
    }
    output.pointee = UInt8(truncatingIfNeeded: rest)
    output += 1
  }

  @inline(__always)
  private static func write(_ bytes: UnsafeBufferPointer<UInt8>, to output: inout Output) {
    guard let start = bytes.baseAddress else { return }
    output.update(from: start, count: bytes.count)
    output += bytes.count
  }
}
