internal import CProtobufC

/// Decodes a message into the C struct that protoc-c makes of it, in one pass that checks everything:
/// driven by the same descriptors as libprotobuf-c, but with all of protobuf's rules.
///
/// What differs from `protobuf_c_message_unpack`: lengths, tags, UTF-8, depth and memory are checked;
/// singular messages that come more than once are merged, members of a oneof too; a known field with
/// another wire type is kept as an unknown one, and so are groups; strings keep their length, so that
/// they may hold a NUL; strings are copied into the arena, bytes stay where they lie in the input.
struct WireDecoder {
  typealias Bytes = UnsafePointer<UInt8>
  typealias Descriptor = UnsafePointer<ProtobufCMessageDescriptor>
  typealias Field = UnsafePointer<ProtobufCFieldDescriptor>

  /// Where the structs are allocated.
  let arena: UnsafeMutablePointer<ArenaState>
  /// The deepest nesting allowed; the outermost message is at depth 1.
  let depth: Int
  /// The outermost message's body field.
  let bodyField: UInt32?
  /// The outermost message's body, when the input ends with it: left out of the struct.
  var inlineBody: Range<Bytes>?

  /// The greatest field number.
  static let greatestNumber: UInt64 = 1 << 29 - 1

  /// A field's number and wire type.
  struct Tag {
    let number: UInt32
    let wireType: UInt32

    static let varint = PROTOBUF_C_WIRE_TYPE_VARINT.rawValue
    static let fixed64 = PROTOBUF_C_WIRE_TYPE_64BIT.rawValue
    static let delimited = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED.rawValue
    static let groupStart: UInt32 = 3
    static let groupEnd: UInt32 = 4
    static let fixed32 = PROTOBUF_C_WIRE_TYPE_32BIT.rawValue
  }

  /// A field's value: a number's bits, or where the bytes after a length lie.
  struct Value {
    var number: UInt64 = 0
    let start: Bytes
    let end: Bytes

    var count: Int { end - start }
  }

  /// A new struct with every field at its default.
  func newMessage(_ descriptor: Descriptor) throws(SchemaError) -> UnsafeMutableRawPointer {
    let memory = try allocate(descriptor.pointee.sizeof_message, descriptor, nil)
    protobuf_c_message_init(descriptor, memory)
    return memory
  }

  /// Decodes the bytes from `start` to `end` into a struct, over what it holds.
  mutating func decode(
    into message: UnsafeMutableRawPointer, _ descriptor: Descriptor, _ start: Bytes, _ end: Bytes,
    level: Int
  ) throws(SchemaError) {
    guard level <= depth else {
      throw fault(.tooDeep, descriptor, nil, "nested deeper than \(depth) messages")
    }
    var lookup = FieldLookup(descriptor)
    var seen = SeenFields(count: Int(descriptor.pointee.n_fields))
    var at = start
    while at < end {
      let tag = try self.tag(&at, end, descriptor)
      let contents = at
      let field = lookup.field(tag.number)
      let value = try value(&at, end, tag, descriptor, field, level: level)
      guard let field,
        try store(value, tag.wireType, field, message, descriptor, level: level, isLast: at == end)
      else {
        try keepUnknown(tag, contents, at, message, descriptor)
        continue
      }
      seen.insert(lookup.index)
    }
    try required(descriptor, seen)
  }

  /// Checks that every required field of a proto2 message was seen.
  private func required(_ descriptor: Descriptor, _ seen: SeenFields) throws(SchemaError) {
    for index in 0..<Int(descriptor.pointee.n_fields) {
      let field = descriptor.pointee.fields + index
      guard field.pointee.label == PROTOBUF_C_LABEL_REQUIRED, !seen.contains(index) else {
        continue
      }
      throw fault(.missingField, descriptor, field, "a required field is missing")
    }
  }

  // MARK: Into the struct

  /// Stores a known field's value; false when its wire type is not the field's.
  @inline(__always)
  private mutating func store(
    _ value: Value, _ wireType: UInt32, _ field: Field, _ message: UnsafeMutableRawPointer,
    _ descriptor: Descriptor, level: Int, isLast: Bool
  ) throws(SchemaError) -> Bool {
    let type = field.pointee.type
    let isRepeated = field.pointee.label == PROTOBUF_C_LABEL_REPEATED
    guard wireType == Self.wireType(type) else {
      guard isRepeated, wireType == Tag.delimited else { return false }
      try storePacked(value, field, message, descriptor)
      return true
    }
    let place =
      isRepeated
      ? try append(1, field, message, descriptor) : singular(field, message)
    guard wireType == Tag.delimited else {
      Self.storeNumber(value.number, type, at: place)
      return true
    }
    switch type {
    case PROTOBUF_C_TYPE_STRING:
      place.storeBytes(
        of: try string(value, field, descriptor), as: UnsafeMutablePointer<CChar>.self)
    case PROTOBUF_C_TYPE_MESSAGE:
      try storeMessage(value, field, at: place, isRepeated: isRepeated, level: level)
    default:
      let isBody = level == 1 && field.pointee.id == bodyField
      if isBody { inlineBody = isLast ? value.start..<value.end : nil }
      let isLeftOut = value.count == 0 || isBody && isLast
      place.storeBytes(
        of: ProtobufCBinaryData(
          len: isLeftOut ? 0 : value.count,
          data: isLeftOut ? nil : UnsafeMutablePointer(mutating: value.start)),
        as: ProtobufCBinaryData.self)
    }
    return true
  }

  /// The memory of a field that is there once, after its presence is noted.
  @inline(__always)
  private func singular(
    _ field: Field, _ message: UnsafeMutableRawPointer
  ) -> UnsafeMutableRawPointer {
    let place = message + Int(field.pointee.offset)
    let quantifier = message + Int(field.pointee.quantifier_offset)
    if field.pointee.flags & PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue != 0 {
      if quantifier.load(as: UInt32.self) != field.pointee.id {
        quantifier.storeBytes(of: field.pointee.id, as: UInt32.self)
        place.initializeMemory(as: UInt8.self, repeating: 0, count: Self.size(field.pointee.type))
      }
    } else if field.pointee.label == PROTOBUF_C_LABEL_OPTIONAL,
      field.pointee.type != PROTOBUF_C_TYPE_STRING, field.pointee.type != PROTOBUF_C_TYPE_MESSAGE
    {
      quantifier.storeBytes(of: 1, as: protobuf_c_boolean.self)
    }
    return place
  }

  /// Room for `count` more elements of a repeated field: the memory of the first of them.
  private func append(
    _ count: Int, _ field: Field, _ message: UnsafeMutableRawPointer, _ descriptor: Descriptor
  ) throws(SchemaError) -> UnsafeMutableRawPointer {
    let counter = message + Int(field.pointee.quantifier_offset)
    let place = message + Int(field.pointee.offset)
    let present = counter.load(as: Int.self)
    let size = Self.size(field.pointee.type)
    let list = try grow(
      place.load(as: UnsafeMutableRawPointer?.self), from: present, by: count, size: size,
      descriptor, field)
    place.storeBytes(of: list, as: UnsafeMutableRawPointer.self)
    counter.storeBytes(of: present + count, as: Int.self)
    return list + present * size
  }

  /// A list with room for more elements: lists have room for 4, 8, 16 and so on, so that how many
  /// there are says how much room there is.
  private func grow(
    _ list: UnsafeMutableRawPointer?, from present: Int, by count: Int, size: Int,
    _ descriptor: Descriptor, _ field: Field?
  ) throws(SchemaError) -> UnsafeMutableRawPointer {
    let capacity = Self.capacity(present)
    let wanted = Self.capacity(present + count)
    if let list, wanted == capacity { return list }
    let grown = try allocate(wanted * size, descriptor, field)
    if let list { grown.copyMemory(from: list, byteCount: present * size) }
    return grown
  }

  private static func capacity(_ count: Int) -> Int {
    count == 0 ? 0 : count <= 4 ? 4 : 1 << (Int.bitWidth - (count - 1).leadingZeroBitCount)
  }

  private mutating func storeMessage(
    _ value: Value, _ field: Field, at place: UnsafeMutableRawPointer, isRepeated: Bool, level: Int
  ) throws(SchemaError) {
    guard let opaque = field.pointee.descriptor else { return }
    let descriptor = opaque.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
    // What comes again is merged into what is there.
    if !isRepeated, let present = place.load(as: UnsafeMutableRawPointer?.self) {
      return try decode(into: present, descriptor, value.start, value.end, level: level + 1)
    }
    let message = try newMessage(descriptor)
    place.storeBytes(of: message, as: UnsafeMutableRawPointer.self)
    try decode(into: message, descriptor, value.start, value.end, level: level + 1)
  }

  private func string(
    _ value: Value, _ field: Field, _ descriptor: Descriptor
  ) throws(SchemaError) -> UnsafeMutablePointer<CChar> {
    let count = value.count
    guard UTF8Check.isValid(value.start, count) else {
      throw fault(.invalidUTF8, descriptor, field, "a string that isn't UTF-8")
    }
    let memory = try allocate(ArenaString.overhead + count, descriptor, field)
    return ArenaString.write(value.start, count, to: memory)
  }

  /// Stores the elements of a packed field.
  private func storePacked(
    _ value: Value, _ field: Field, _ message: UnsafeMutableRawPointer, _ descriptor: Descriptor
  ) throws(SchemaError) {
    let type = field.pointee.type
    let count: Int
    switch Self.wireType(type) {
    case Tag.varint: count = Self.countVarints(value)
    case Tag.fixed64 where value.count % 8 == 0: count = value.count / 8
    case Tag.fixed32 where value.count % 4 == 0: count = value.count / 4
    default:
      throw fault(
        .invalidPacked, descriptor, field, "\(value.count) bytes are no whole number of elements")
    }
    guard value.count > 0 else { return }
    var place = try append(count, field, message, descriptor)
    let size = Self.size(type)
    guard Self.wireType(type) == Tag.varint else {
      place.copyMemory(from: value.start, byteCount: value.count)
      return
    }
    var at = value.start
    while at < value.end {
      guard let number = Self.varint(&at, value.end, greatestLength: 10) else {
        throw badVarint(at, value.end, descriptor, field, field.pointee.id)
      }
      Self.storeNumber(number, type, at: place)
      place += size
    }
  }

  /// How many bytes end a number; one more when the last number is cut off.
  private static func countVarints(_ value: Value) -> Int {
    var count = 0
    for byte in UnsafeBufferPointer(start: value.start, count: value.count) {
      count += byte < 0x80 ? 1 : 0
    }
    return value.count > 0 && value.end[-1] >= 0x80 ? count + 1 : count
  }

  /// Stores one number as the C struct has it.
  @inline(__always)
  private static func storeNumber(
    _ number: UInt64, _ type: ProtobufCType, at place: UnsafeMutableRawPointer
  ) {
    switch type {
    case PROTOBUF_C_TYPE_BOOL:
      place.storeBytes(of: number == 0 ? 0 : 1, as: protobuf_c_boolean.self)
    case PROTOBUF_C_TYPE_SINT32:
      let word = UInt32(truncatingIfNeeded: number)
      place.storeBytes(of: word >> 1 ^ (0 &- (word & 1)), as: UInt32.self)
    case PROTOBUF_C_TYPE_SINT64:
      place.storeBytes(of: number >> 1 ^ (0 &- (number & 1)), as: UInt64.self)
    case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_FIXED64,
      PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_DOUBLE:
      place.storeBytes(of: number, as: UInt64.self)
    default:
      place.storeBytes(of: UInt32(truncatingIfNeeded: number), as: UInt32.self)
    }
  }

  /// Keeps a field as it stands: what follows its tag stays in the input.
  private func keepUnknown(
    _ tag: Tag, _ start: Bytes, _ end: Bytes, _ message: UnsafeMutableRawPointer,
    _ descriptor: Descriptor
  ) throws(SchemaError) {
    let base = message.assumingMemoryBound(to: ProtobufCMessage.self)
    let present = Int(base.pointee.n_unknown_fields)
    let size = MemoryLayout<ProtobufCMessageUnknownField>.stride
    let list = try grow(
      base.pointee.unknown_fields.map { UnsafeMutableRawPointer($0) }, from: present, by: 1,
      size: size, descriptor, nil)
    let fields = list.assumingMemoryBound(to: ProtobufCMessageUnknownField.self)
    (fields + present).initialize(
      to: ProtobufCMessageUnknownField(
        tag: tag.number, wire_type: ProtobufCWireType(rawValue: tag.wireType), len: end - start,
        data: UnsafeMutablePointer(mutating: start)))
    base.pointee.unknown_fields = fields
    base.pointee.n_unknown_fields = UInt32(present + 1)
  }

  private func allocate(
    _ byteCount: Int, _ descriptor: Descriptor, _ field: Field?
  ) throws(SchemaError) -> UnsafeMutableRawPointer {
    guard let memory = Arena.allocate(arena, byteCount) else {
      throw fault(.tooMuchMemory, descriptor, field, "takes more memory than is allowed")
    }
    return memory
  }
}
