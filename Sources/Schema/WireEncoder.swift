internal import CProtobufC

/// Packs a filled C struct as `protobuf_c_message_pack` does, but for strings that hold a NUL and for
/// −0.0, which is no default.
///
/// It writes from the end to the beginning: when a length is written, what it is the length of is there,
/// so that one pass over the struct is enough. It writes pieces into what is left of the arena; long bytes,
/// which lie in the arena already, are pieces as they are. All are copied once to where they are sent from.
struct WireEncoder {
  typealias Field = UnsafePointer<ProtobufCFieldDescriptor>

  /// The message that is packed.
  private let message: UnsafePointer<ProtobufCMessage>
  private let arena: UnsafeMutablePointer<ArenaState>
  /// Where there is room: from here to `output`.
  private var start: UnsafeMutablePointer<UInt8>
  /// The first byte of the piece that is being written.
  private var output: UnsafeMutablePointer<UInt8>
  /// The end of the piece that is being written.
  private var end: UnsafeMutablePointer<UInt8>
  /// The pieces behind it, from the last to the first.
  private var pieces: [UnsafeRawBufferPointer] = []
  /// The bytes of `pieces`.
  private var finished = 0

  /// The most bytes of a message: no length says more.
  private static let greatestCount = Int(Int32.max)
  /// The most bytes of a tag, and of a length or number after it: two varints of ten.
  private static let greatestHead = 20
  /// Bytes from which on it costs less to make something a piece of its own than to copy it twice.
  private static let leastPiece = 4 << 10
  /// Bytes of a further block to write into: enough for all that isn't a piece of its own.
  private static let leastBlock = 16 << 10
  /// Bytes up to which further blocks grow.
  private static let greatestBlock = 1 << 20

  /// Packs a filled C struct: takes what is left of its arena's block to write into.
  init(_ message: UnsafeRawPointer, arena: UnsafeMutablePointer<ArenaState>) {
    self.message = message.assumingMemoryBound(to: ProtobufCMessage.self)
    self.arena = arena
    start = arena.pointee.next.assumingMemoryBound(to: UInt8.self)
    end = arena.pointee.end.assumingMemoryBound(to: UInt8.self)
    output = end
    arena.pointee.next = arena.pointee.end
  }

  /// Writes the message; returns its length in bytes.
  ///
  /// - Throws: `tooMuchMemory`; `tooLarge` for 2 GiB and more, which no length can say.
  mutating func pack() throws(SchemaError) -> Int {
    try write(message)
    guard written <= Self.greatestCount else {
      let name = message.pointee.descriptor.map { String(cString: $0.pointee.name) }
      throw SchemaError(
        .tooLarge, message: name ?? "", text: "\(written) bytes are more than a message can have")
    }
    return written
  }

  /// Copies what was written, all `written` bytes of it.
  func copy(to target: UnsafeMutableRawPointer) {
    target.copyMemory(from: output, byteCount: end - output)
    var place = target + (end - output)
    for piece in pieces.reversed() {
      if let start = piece.baseAddress { place.copyMemory(from: start, byteCount: piece.count) }
      place += piece.count
    }
  }

  /// How many bytes are written.
  private var written: Int { finished + (end - output) }

  // MARK: Fields

  /// Writes a message before what is written.
  private mutating func write(_ message: UnsafeRawPointer) throws(SchemaError) {
    let base = message.assumingMemoryBound(to: ProtobufCMessage.self)
    guard let descriptor = base.pointee.descriptor else { return }
    for index in (0..<Int(base.pointee.n_unknown_fields)).reversed() {
      let unknown = base.pointee.unknown_fields[index]
      try prepend(UnsafeRawPointer(unknown.data), unknown.len)
      prepend(UInt64(unknown.tag) << 3 | UInt64(unknown.wire_type.rawValue))
    }
    for index in (0..<Int(descriptor.pointee.n_fields)).reversed() {
      let field = descriptor.pointee.fields + index
      let place = message + Int(field.pointee.offset)
      if field.pointee.label == PROTOBUF_C_LABEL_REPEATED {
        let count = (message + Int(field.pointee.quantifier_offset)).load(as: Int.self)
        if count > 0 { try writeList(field, place.load(as: UnsafeRawPointer.self), count) }
      } else if Self.isPresent(field, message) {
        try writeOne(field, place)
      }
    }
  }

  private mutating func writeList(
    _ field: Field, _ list: UnsafeRawPointer, _ count: Int
  ) throws(SchemaError) {
    let type = field.pointee.type
    let size = WireDecoder.size(type)
    guard field.pointee.flags & PROTOBUF_C_FIELD_FLAG_PACKED.rawValue != 0 else {
      for index in (0..<count).reversed() { try writeOne(field, list + index * size) }
      return
    }
    let behind = written
    if WireDecoder.wireType(type) == WireDecoder.Tag.varint {
      for index in (0..<count).reversed() {
        try makeRoom(0)
        prepend(Self.number(type, list + index * size))
      }
      try makeRoom(0)
    } else {
      try prepend(list, count * size)
    }
    prependLength(written - behind, of: field)
  }

  /// Writes a value with its tag.
  private mutating func writeOne(
    _ field: Field, _ place: UnsafeRawPointer
  ) throws(SchemaError) {
    let type = field.pointee.type
    switch type {
    case PROTOBUF_C_TYPE_MESSAGE:
      let behind = written
      if let message = place.load(as: UnsafeRawPointer?.self) { try write(message) }
      try makeRoom(0)
      prependLength(written - behind, of: field)
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES:
      let bytes = Self.bytes(type, place)
      try prepend(UnsafeRawPointer(bytes.baseAddress), bytes.count)
      prependLength(bytes.count, of: field)
    default:
      try makeRoom(0)
      let wireType = WireDecoder.wireType(type)
      switch wireType {
      case WireDecoder.Tag.fixed32: copy(place, 4)
      case WireDecoder.Tag.fixed64: copy(place, 8)
      default: prepend(Self.number(type, place))
      }
      prepend(UInt64(field.pointee.id) << 3 | UInt64(wireType))
    }
  }

  // MARK: Bytes

  /// Makes room for so many bytes, and for a tag and a length or number before them.
  @inline(__always)
  private mutating func makeRoom(_ count: Int) throws(SchemaError) {
    if output - start < count + Self.greatestHead { try startBlock() }
  }

  /// Goes on in another block, with as much room as was used so far.
  @inline(never)
  private mutating func startBlock() throws(SchemaError) {
    let size = min(max(Self.leastBlock, written), Self.greatestBlock)
    guard let memory = Arena.allocate(arena, size) else { throw Arena.outOfMemory }
    finishPiece()
    start = memory.bindMemory(to: UInt8.self, capacity: size)
    end = start + size
    output = end
  }

  /// Ends the piece that is being written; the next one ends where it begins.
  private mutating func finishPiece() {
    guard output < end else { return }
    pieces.append(UnsafeRawBufferPointer(start: output, count: end - output))
    finished += end - output
    end = output
  }

  /// Writes bytes before what is written, and makes room for their tag and length.
  @inline(__always)
  private mutating func prepend(_ bytes: UnsafeRawPointer?, _ count: Int) throws(SchemaError) {
    guard count < Self.leastPiece else { return try insert(bytes, count) }
    try makeRoom(count)
    copy(bytes, count)
  }

  /// Makes bytes a piece of their own.
  @inline(never)
  private mutating func insert(_ bytes: UnsafeRawPointer?, _ count: Int) throws(SchemaError) {
    finishPiece()
    pieces.append(UnsafeRawBufferPointer(start: bytes, count: count))
    finished += count
    try makeRoom(0)
  }

  /// Copies bytes, for which there is room, before what is written.
  @inline(__always)
  private mutating func copy(_ bytes: UnsafeRawPointer?, _ count: Int) {
    guard let bytes else { return }
    output -= count
    UnsafeMutableRawPointer(output).copyMemory(from: bytes, byteCount: count)
  }

  /// Writes a varint before what is written.
  @inline(__always)
  private mutating func prepend(_ number: UInt64) {
    guard number >= 0x80 else {
      output -= 1
      output.pointee = UInt8(truncatingIfNeeded: number)
      return
    }
    output -= (70 - number.leadingZeroBitCount) / 7
    var place = output
    var rest = number
    while rest >= 0x80 {
      place.pointee = UInt8(truncatingIfNeeded: rest) | 0x80
      place += 1
      rest >>= 7
    }
    place.pointee = UInt8(truncatingIfNeeded: rest)
  }

  /// Writes a field's tag and the length of what it holds.
  @inline(__always)
  private mutating func prependLength(_ length: Int, of field: Field) {
    prepend(UInt64(length))
    prepend(UInt64(field.pointee.id) << 3 | UInt64(WireDecoder.Tag.delimited))
  }
}

// What lies in a struct.
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
}
