internal import FoundationEssentials
public import NIOCore
internal import Schema

extension DynamicSchema {
  /// A field's value as it stood on the wire.
  private enum WireValue {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    case bytes(ByteBuffer)
  }

  /// The JSON of a message of this type, without its default values, on one line. Messages that proto3's
  /// JSON writes in a way of their own, such as Timestamp, are written field by field here.
  ///
  /// - Throws: `DynamicFailure` when the bytes are no such message.
  public func json(_ bytes: ByteBuffer, as type: String) throws -> String {
    try json(bytes, as: type, path: type, depth: 0)
  }

  private func json(
    _ bytes: ByteBuffer, as type: String, path: String, depth: Int
  ) throws -> String {
    guard depth < Self.maxDepth else { throw DynamicFailure("\(path): nested too deep") }
    guard let message = messages[type] else { throw DynamicFailure("\(type) isn't known") }
    let values = try Self.split(bytes, path)
    var members: [String] = []
    for field in message.fields {
      guard let found = values[field.number] else { continue }
      let path = "\(path).\(field.name)"
      let key = Self.quoted(field.jsonName)
      if field.isRepeated, let entry = messages[field.typeName], entry.isMapEntry {
        let pairs = try found.map { try pair($0, entry, path, depth) }
        let unique = Dictionary(pairs, uniquingKeysWith: { $1 }).sorted { $0.key < $1.key }
        members.append("\(key):{\(unique.map { "\($0.key):\($0.value)" }.joined(separator: ","))}")
      } else if field.isRepeated {
        let texts = try found.flatMap { try elements($0, of: field, path, depth) }
        if !texts.isEmpty { members.append("\(key):[\(texts.joined(separator: ","))]") }
      } else if let last = found.last {
        let merged = field.kind == .message ? Self.joined(found) : last
        let text = try self.text(merged, of: field, path, depth)
        if field.hasPresence || !Self.defaults.contains(text) { members.append("\(key):\(text)") }
      }
    }
    return "{\(members.joined(separator: ","))}"
  }

  /// What a field without presence isn't written for. An enum's first value is never sent by proto3.
  private static let defaults: Set<String> = ["0", "\"0\"", "0.0", "false", "\"\""]

  /// Several parts of one message are one message.
  private static func joined(_ parts: [WireValue]) -> WireValue {
    var whole = ByteBuffer()
    for case .bytes(let part) in parts { whole.writeImmutableBuffer(part) }
    return .bytes(whole)
  }

  private func pair(
    _ value: WireValue, _ entry: MessageType, _ path: String, _ depth: Int
  ) throws -> (key: String, value: String) {
    guard case .bytes(let bytes) = value,
      let keyField = entry.fields.first(where: { $0.number == 1 }),
      let valueField = entry.fields.first(where: { $0.number == 2 })
    else { throw DynamicFailure("\(path): an entry of a map is expected") }
    let parts = try Self.split(bytes, path)
    let key = try text(parts[1]?.last ?? Self.empty(keyField), of: keyField, path, depth)
    return (
      key.hasPrefix("\"") ? key : "\"\(key)\"",
      try text(parts[2]?.last ?? Self.empty(valueField), of: valueField, path, depth)
    )
  }

  /// What an absent key or value of a map's entry is.
  private static func empty(_ field: Field) -> WireValue {
    switch field.kind {
    case .message, .string, .bytes: .bytes(ByteBuffer())
    case .double, .fixed64, .sfixed64: .fixed64(0)
    case .float, .fixed32, .sfixed32: .fixed32(0)
    default: .varint(0)
    }
  }

  /// The elements of a repeated field that stand here: one, or many that are packed.
  private func elements(
    _ value: WireValue, of field: Field, _ path: String, _ depth: Int
  ) throws -> [String] {
    guard case .bytes(var packed) = value else { return [try text(value, of: field, path, depth)] }
    switch field.kind {
    case .message, .string, .bytes: return [try text(value, of: field, path, depth)]
    default: break
    }
    var texts: [String] = []
    while packed.readableBytes > 0 {
      let element: WireValue?
      switch Self.empty(field) {
      case .fixed64: element = packed.readInteger(endianness: .little).map { .fixed64($0) }
      case .fixed32: element = packed.readInteger(endianness: .little).map { .fixed32($0) }
      default: element = packed.readVarint().map { .varint($0) }
      }
      guard let element else { throw DynamicFailure("\(path): it ends in the middle") }
      texts.append(try text(element, of: field, path, depth))
    }
    return texts
  }

  private func text(
    _ value: WireValue, of field: Field, _ path: String, _ depth: Int
  ) throws -> String {
    switch (field.kind, value) {
    case (.message, .bytes(let bytes)):
      return try json(bytes, as: field.typeName, path: path, depth: depth + 1)
    case (.string, .bytes(let bytes)):
      guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
        throw DynamicFailure("\(path): it isn't UTF-8")
      }
      return Self.quoted(text)
    case (.bytes, .bytes(let bytes)):
      return "\"\(Data(bytes.readableBytesView).base64EncodedString())\""
    case (.bool, .varint(let bits)): return bits == 0 ? "false" : "true"
    case (.enum, .varint(let bits)):
      let number = Int32(truncatingIfNeeded: bits)
      return enums[field.typeName]?.names[number].map(Self.quoted) ?? "\(number)"
    case (.int32, .varint(let bits)): return "\(Int32(truncatingIfNeeded: bits))"
    case (.uint32, .varint(let bits)): return "\(UInt32(truncatingIfNeeded: bits))"
    case (.int64, .varint(let bits)): return "\"\(Int64(bitPattern: bits))\""
    case (.uint64, .varint(let bits)), (.fixed64, .fixed64(let bits)): return "\"\(bits)\""
    case (.sint32, .varint(let bits)):
      let word = UInt32(truncatingIfNeeded: bits)
      return "\(Int32(bitPattern: word >> 1) ^ -Int32(bitPattern: word & 1))"
    case (.sint64, .varint(let bits)):
      return "\"\(Int64(bitPattern: bits >> 1) ^ -Int64(bitPattern: bits & 1))\""
    case (.sfixed64, .fixed64(let bits)): return "\"\(Int64(bitPattern: bits))\""
    case (.double, .fixed64(let bits)): return Self.number(Double(bitPattern: bits))
    case (.fixed32, .fixed32(let bits)): return "\(bits)"
    case (.sfixed32, .fixed32(let bits)): return "\(Int32(bitPattern: bits))"
    case (.float, .fixed32(let bits)): return Self.number(Float(bitPattern: bits))
    default: throw DynamicFailure("\(path): it has another kind on the wire")
    }
  }

  private static func number<Value: BinaryFloatingPoint & LosslessStringConvertible>(
    _ value: Value
  ) -> String {
    if value.isNaN { return "\"NaN\"" }
    if value.isInfinite { return value < 0 ? "\"-Infinity\"" : "\"Infinity\"" }
    return "\(value)"
  }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\u{0}"..<"\u{20}", "\u{7F}":
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  /// A message's fields by number, each with all its values in order.
  private static func split(
    _ bytes: ByteBuffer, _ path: String
  ) throws -> [UInt32: [WireValue]] {
    var bytes = bytes
    var values: [UInt32: [WireValue]] = [:]
    while bytes.readableBytes > 0 {
      var value: WireValue?
      guard let tag = bytes.readVarint(), let number = UInt32(exactly: tag >> 3), number > 0 else {
        throw DynamicFailure("\(path): it isn't a message")
      }
      switch tag & 7 {
      case 0: value = bytes.readVarint().map { .varint($0) }
      case 1: value = bytes.readInteger(endianness: .little).map { .fixed64($0) }
      case 2:
        value = bytes.readVarint().flatMap { Int(exactly: $0) }
          .flatMap { bytes.readSlice(length: $0) }.map { .bytes($0) }
      case 5: value = bytes.readInteger(endianness: .little).map { .fixed32($0) }
      default: break
      }
      guard let value else { throw DynamicFailure("\(path): it ends in the middle") }
      values[number, default: []].append(value)
    }
    return values
  }
}

extension ByteBuffer {
  /// Takes a number in groups of seven bits; nil when it isn't whole or has more than 64 bits.
  mutating func readVarint() -> UInt64? {
    var value: UInt64 = 0
    var copy = self
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte: UInt8 = copy.readInteger(), shift < 63 || byte <= 1 else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 {
        self = copy
        return value
      }
    }
    return nil
  }
}
