internal import CProtobufC

/// One linear pass over a message's bytes before libprotobuf-c unpacks them: finds what it would
/// overlook, misread or die of, and says which field it is.
struct WireCheck {
  typealias Bytes = UnsafePointer<UInt8>
  typealias Descriptor = UnsafePointer<ProtobufCMessageDescriptor>
  typealias Field = UnsafePointer<ProtobufCFieldDescriptor>

  /// The memory that may still be spent, in bytes.
  var memory: Int
  /// The deepest nesting allowed; the outermost message is at depth 1.
  let depth: Int
  /// The outermost message's body field.
  let bodyField: UInt32?
  /// Where the outermost message's last body field lies, with and without its tag and length.
  var body: (field: Range<Bytes>, bytes: Range<Bytes>)?

  /// libprotobuf-c notes every field it scans: the first 16 of a message on the stack, then in
  /// slabs for 32, 64 and so on, of this many bytes a field.
  private static let scannedField = 32
  private static let fieldsOnStack = 16
  /// What it spends on a field that the message doesn't know, beside its bytes.
  private static let unknownField = 24
  /// What the allocator spends on rounding.
  private static let rounding = 8
  /// The greatest field number.
  static let greatestNumber: UInt32 = 1 << 29 - 1

  /// Checks one message from `start` to `end`.
  mutating func message(
    _ descriptor: Descriptor, _ start: Bytes, _ end: Bytes, level: Int
  ) throws(SchemaError) {
    guard level <= depth else {
      throw fault(.tooDeep, descriptor, nil, "nested deeper than \(depth) messages")
    }
    try spend(descriptor.pointee.sizeof_message + Self.rounding, descriptor, nil)
    var seen = SeenFields(count: Int(descriptor.pointee.n_fields))
    var lookup = FieldLookup(descriptor)
    var at = start
    var slab = Self.fieldsOnStack
    var slabLeft = slab
    while at < end {
      if slabLeft == 0 {
        slab *= 2
        slabLeft = slab
        try spend(Self.scannedField * slab + Self.rounding, descriptor, nil)
      }
      slabLeft -= 1
      let fieldStart = at
      let tag = try self.tag(&at, end, descriptor)
      let field = lookup.field(tag.number)
      let value = try value(&at, end, tag, descriptor, field)
      guard let field else {
        // The length before the value is kept too, and takes at most five bytes.
        let cost = Self.unknownField + (at - value.lowerBound + 5) + Self.rounding
        try spend(cost, descriptor, nil)
        continue
      }
      try known(field, value, tag.wireType, at, descriptor, level: level)
      let again = seen.insert(lookup.index)
      if again, field.pointee.type == PROTOBUF_C_TYPE_MESSAGE,
        field.pointee.label != PROTOBUF_C_LABEL_REPEATED
      {
        throw fault(.repeatedMessage, descriptor, field, "a singular message is given twice")
      }
      if level == 1, tag.number == bodyField { body = (fieldStart..<at, value) }
    }
    try required(descriptor, seen)
  }

  /// Checks that every required field of a proto2 message was seen.
  private func required(_ descriptor: Descriptor, _ seen: SeenFields) throws(SchemaError) {
    guard seen.count < Int(descriptor.pointee.n_fields) else { return }
    for index in 0..<Int(descriptor.pointee.n_fields) {
      let field = descriptor.pointee.fields + index
      guard field.pointee.label == PROTOBUF_C_LABEL_REQUIRED, !seen.contains(index) else {
        continue
      }
      throw fault(.missingField, descriptor, field, "a required field is missing")
    }
  }

  // MARK: One field

  /// A field's number and wire type.
  struct Tag {
    let number: UInt32
    let wireType: UInt32
  }

  /// Reads a tag.
  @inline(__always)
  private func tag(
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

  /// Steps over a field's value; gives where it lies, without its length.
  @inline(__always)
  private func value(
    _ at: inout Bytes, _ end: Bytes, _ tag: Tag, _ descriptor: Descriptor, _ field: Field?
  ) throws(SchemaError) -> Range<Bytes> {
    let start = at
    switch tag.wireType {
    case PROTOBUF_C_WIRE_TYPE_VARINT.rawValue:
      guard Self.skipVarint(&at, end) else {
        throw badVarint(at, end, descriptor, field, tag.number)
      }
      return start..<at
    case PROTOBUF_C_WIRE_TYPE_64BIT.rawValue:
      guard end - at >= 8 else { throw truncated(descriptor, field, tag.number) }
      at += 8
      return start..<at
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED.rawValue:
      guard let length = Self.varint(&at, end, greatestLength: 5) else {
        throw badVarint(at, end, descriptor, field, tag.number)
      }
      guard length <= UInt64(end - at), length <= UInt64(Int32.max) else {
        throw truncated(descriptor, field, tag.number)
      }
      let contents = at
      at += Int(length)
      return contents..<at
    case PROTOBUF_C_WIRE_TYPE_32BIT.rawValue:
      guard end - at >= 4 else { throw truncated(descriptor, field, tag.number) }
      at += 4
      return start..<at
    case 3, 4:
      throw fault(.group, descriptor, field, "field \(tag.number) is a group")
    default:
      throw fault(.invalidTag, descriptor, field, "field \(tag.number) has no known wire type")
    }
  }

  /// Checks a known field's value, and what it will cost.
  @inline(__always)
  private mutating func known(
    _ field: Field, _ value: Range<Bytes>, _ wireType: UInt32, _ end: Bytes,
    _ descriptor: Descriptor, level: Int
  ) throws(SchemaError) {
    let type = field.pointee.type
    let isRepeated = field.pointee.label == PROTOBUF_C_LABEL_REPEATED
    let expected = Self.wireType(type)
    let length = value.upperBound - value.lowerBound
    guard wireType == expected else {
      guard isRepeated, wireType == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED.rawValue else {
        throw fault(
          .wrongWireType, descriptor, field, "wire type \(wireType) instead of \(expected)")
      }
      return try packed(field, value, expected, descriptor)
    }
    var cost = isRepeated ? 16 : 0
    guard wireType == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED.rawValue else {
      return try spend(cost, descriptor, field)
    }
    // A message is charged for when it is checked itself, the body when it has to be unpacked.
    if type != PROTOBUF_C_TYPE_MESSAGE { cost += length + 1 + Self.rounding }
    if level == 1, field.pointee.id == bodyField { cost = 0 }
    try spend(cost, descriptor, field)
    if type == PROTOBUF_C_TYPE_STRING {
      try string(field, value, descriptor)
    } else if type == PROTOBUF_C_TYPE_MESSAGE {
      guard let nested = field.pointee.descriptor else { return }
      try message(
        nested.assumingMemoryBound(to: ProtobufCMessageDescriptor.self), value.lowerBound,
        value.upperBound, level: level + 1)
    }
  }

  /// Checks a packed field.
  private mutating func packed(
    _ field: Field, _ value: Range<Bytes>, _ elementType: UInt32, _ descriptor: Descriptor
  ) throws(SchemaError) {
    let length = value.upperBound - value.lowerBound
    var at = value.lowerBound
    var count = 0
    switch elementType {
    case PROTOBUF_C_WIRE_TYPE_VARINT.rawValue:
      while at < value.upperBound {
        guard Self.skipVarint(&at, value.upperBound) else {
          throw badVarint(at, value.upperBound, descriptor, field, field.pointee.id)
        }
        count += 1
      }
      // libprotobuf-c makes room for a bool a byte.
      if field.pointee.type == PROTOBUF_C_TYPE_BOOL { count = length }
    case PROTOBUF_C_WIRE_TYPE_64BIT.rawValue where length % 8 == 0: count = length / 8
    case PROTOBUF_C_WIRE_TYPE_32BIT.rawValue where length % 4 == 0: count = length / 4
    default:
      throw fault(
        .invalidPacked, descriptor, field, "\(length) bytes are no whole number of elements")
    }
    try spend(8 * count + Self.rounding, descriptor, field)
  }

  /// Checks a string.
  @inline(__always)
  private func string(
    _ field: Field, _ value: Range<Bytes>, _ descriptor: Descriptor
  ) throws(SchemaError) {
    switch UTF8Check.check(value.lowerBound, value.upperBound - value.lowerBound) {
    case .valid: return
    case .nul: throw fault(.nulInString, descriptor, field, "a string with a NUL")
    case .invalid: throw fault(.invalidUTF8, descriptor, field, "a string that isn't UTF-8")
    }
  }

  /// The wire type of a field's value, or of one element.
  @inline(__always)
  private static func wireType(_ type: ProtobufCType) -> UInt32 {
    switch type {
    case PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_FLOAT:
      PROTOBUF_C_WIRE_TYPE_32BIT.rawValue
    case PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_DOUBLE:
      PROTOBUF_C_WIRE_TYPE_64BIT.rawValue
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_MESSAGE:
      PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED.rawValue
    default: PROTOBUF_C_WIRE_TYPE_VARINT.rawValue
    }
  }

  // MARK: Numbers

  /// Reads a varint of at most `greatestLength` bytes; nil when it is longer (`at` is not moved)
  /// or cut off (`at` is moved to the end).
  @inline(__always)
  static func varint(_ at: inout Bytes, _ end: Bytes, greatestLength: Int) -> UInt64? {
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

  /// Steps over a varint of at most ten bytes; as `varint` when it isn't one.
  @inline(__always)
  private static func skipVarint(_ at: inout Bytes, _ end: Bytes) -> Bool {
    if at < end, at[0] < 0x80 {
      at += 1
      return true
    }
    return varint(&at, end, greatestLength: 10) != nil
  }

  /// Takes from the memory budget.
  @inline(__always)
  private mutating func spend(
    _ bytes: Int, _ descriptor: Descriptor, _ field: Field?
  ) throws(SchemaError) {
    memory -= bytes
    guard memory >= 0 else {
      throw fault(.tooMuchMemory, descriptor, field, "takes more memory than is allowed")
    }
  }
}
