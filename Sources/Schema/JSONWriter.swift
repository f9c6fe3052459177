/// Writes JSON text: for generated `writeJSON(to:)`. Names stand in the order of the schema, maps' in
/// the order of their keys' text, so that equal messages have equal texts.
public struct JSONWriter {
  /// What the caller chose.
  let options: JSONOptions
  private var bytes: [UInt8] = []
  /// For each open object or array: whether it has anything yet.
  private var isBegun: [Bool] = []

  /// An empty text.
  init(options: JSONOptions) {
    self.options = options
  }

  /// What was written.
  var text: String { String(decoding: bytes, as: UTF8.self) }

  private mutating func separate() {
    guard let last = isBegun.indices.last else { return }
    if isBegun[last] { bytes.append(UInt8(ascii: ",")) }
    isBegun[last] = true
  }

  mutating func raw(_ text: String) {
    bytes.append(contentsOf: text.utf8)
  }

  /// A string in quotes.
  mutating func string(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): raw("\\\"")
      case UInt8(ascii: "\\"): raw("\\\\")
      case 0x0a: raw("\\n")
      case 0x0d: raw("\\r")
      case 0x09: raw("\\t")
      case ..<0x20, 0x7f:
        let digits = String(byte, radix: 16)
        raw("\\u00" + (digits.count == 1 ? "0" : "") + digits)
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  /// An object whose members `body` writes.
  mutating func object(
    _ body: (inout JSONWriter) throws(SchemaError) -> Void
  ) throws(SchemaError) {
    raw("{")
    isBegun.append(false)
    try body(&self)
    isBegun.removeLast()
    raw("}")
  }

  /// An array of values.
  mutating func array<Value: JSONMappable>(_ list: [Value]) throws(SchemaError) {
    raw("[")
    isBegun.append(false)
    for value in list {
      separate()
      try value.writeJSON(to: &self)
    }
    isBegun.removeLast()
    raw("]")
  }

  /// A member's name, before its value.
  mutating func name(_ name: String) {
    separate()
    string(name)
    raw(":")
  }

  /// A value as it was read.
  mutating func value(_ value: JSONValue) throws(SchemaError) {
    switch value {
    case .null: raw("null")
    case .bool(let flag): raw(flag ? "true" : "false")
    case .number(let text): raw(text)
    case .string(let text): string(text)
    case .array(let elements): try array(elements)
    case .object(let members):
      try object { out throws(SchemaError) in
        for member in members {
          out.name(member.name)
          try out.value(member.value)
        }
      }
    }
  }
}

// What generated code writes a message's object with. Names are the fields' JSON names.
extension JSONWriter {
  /// The object of a message, whose fields `body` writes.
  public mutating func message(
    _ body: (inout JSONWriter) throws(SchemaError) -> Void
  ) throws(SchemaError) {
    try object(body)
  }

  /// A field without presence: left out when it has its default, unless all are wanted.
  public mutating func field<Value: JSONMappable>(
    _ name: String, _ value: Value
  ) throws(SchemaError) {
    guard options.writesDefaults || !value.isJSONDefault else { return }
    try member(name, value)
  }

  /// A field with presence: left out when nil.
  public mutating func field<Value: JSONMappable>(
    _ name: String, _ value: Value?
  ) throws(SchemaError) {
    guard let value else { return }
    try member(name, value)
  }

  /// A field that is there whatever its value: a member of a oneof.
  public mutating func member<Value: JSONMappable>(
    _ name: String, _ value: Value
  ) throws(SchemaError) {
    self.name(name)
    try value.writeJSON(to: &self)
  }

  /// A repeated field: left out when empty, unless all are wanted.
  public mutating func list<Value: JSONMappable>(
    _ name: String, _ list: [Value]
  ) throws(SchemaError) {
    guard options.writesDefaults || !list.isEmpty else { return }
    self.name(name)
    try array(list)
  }

  /// A map field: left out when empty, unless all are wanted.
  public mutating func map<Key: JSONMapKey, Value: JSONMappable>(
    _ name: String, _ map: [Key: Value]
  ) throws(SchemaError) {
    guard options.writesDefaults || !map.isEmpty else { return }
    self.name(name)
    let sorted = map.map { ($0.key.jsonKey, $0.value) }.sorted { $0.0 < $1.0 }
    try object { out throws(SchemaError) in
      for (key, value) in sorted { try out.member(key, value) }
    }
  }
}
