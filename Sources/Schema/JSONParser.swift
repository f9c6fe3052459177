/// Reads JSON text as RFC 8259 has it, and stricter where texts could be read in two ways: names are
/// unique, surrogates come in pairs.
struct JSONParser {
  /// How deep arrays and objects may be nested: two of them a message.
  static let greatestDepth = 2 * DecodingLimits.greatestDepth

  private let bytes: [UInt8]
  private var at = 0

  /// The value that a text is.
  ///
  /// - Throws: `invalidJSON`, which says where.
  static func parse(_ text: String) throws(SchemaError) -> JSONValue {
    var parser = JSONParser(bytes: Array(text.utf8))
    let value = try parser.value(depth: 1)
    parser.skipSpace()
    guard parser.at == parser.bytes.count else { throw parser.failure("nothing more is expected") }
    return value
  }

  private init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  private func failure(_ text: String) -> SchemaError {
    JSONValue.failure("no JSON at byte \(at): \(text)")
  }

  private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { at += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }

  private mutating func value(depth: Int) throws(SchemaError) -> JSONValue {
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"): return .number(try number())
    case let digit? where (0x30...0x39).contains(digit): return .number(try number())
    case nil: throw failure("the text ends where a value is expected")
    default: throw failure("a value is expected")
    }
  }

  private mutating func word(
    _ word: StaticString, _ value: JSONValue
  ) throws(SchemaError) -> JSONValue {
    let end = at + word.utf8CodeUnitCount
    let matches = word.withUTF8Buffer { end <= bytes.count && bytes[at..<end].elementsEqual($0) }
    guard matches else { throw failure("a value is expected") }
    at = end
    return value
  }

  private func checkDepth(_ depth: Int) throws(SchemaError) {
    guard depth <= Self.greatestDepth else {
      throw failure("nested deeper than \(DecodingLimits.greatestDepth) messages")
    }
  }

  private mutating func array(depth: Int) throws(SchemaError) -> JSONValue {
    try checkDepth(depth)
    at += 1
    var elements: [JSONValue] = []
    skipSpace()
    if take("]") { return .array(elements) }
    while true {
      elements.append(try value(depth: depth + 1))
      skipSpace()
      if take("]") { return .array(elements) }
      guard take(",") else { throw failure("',' or ']' is expected") }
    }
  }

  private mutating func object(depth: Int) throws(SchemaError) -> JSONValue {
    try checkDepth(depth)
    at += 1
    var members: [JSONValue.Member] = []
    var names: Set<String> = []
    skipSpace()
    if take("}") { return .object(members) }
    while true {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw failure("a name is expected") }
      let name = try string()
      guard names.insert(name).inserted else { throw failure("\"\(name)\" is given twice") }
      skipSpace()
      guard take(":") else { throw failure("':' is expected") }
      members.append(JSONValue.Member(name: name, value: try value(depth: depth + 1)))
      skipSpace()
      if take("}") { return .object(members) }
      guard take(",") else { throw failure("',' or '}' is expected") }
    }
  }

  private mutating func number() throws(SchemaError) -> String {
    let start = at
    _ = take("-")
    if !take("0") { try digits() }
    if take(".") { try digits() }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      try digits()
    }
    return String(decoding: bytes[start..<at], as: UTF8.self)
  }

  private mutating func digits() throws(SchemaError) {
    let start = at
    while let byte = next, (0x30...0x39).contains(byte) { at += 1 }
    guard at > start else { throw failure("a digit is expected") }
  }

  private mutating func string() throws(SchemaError) -> String {
    at += 1
    var utf8: [UInt8] = []
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        at += 1
        return String(decoding: utf8, as: UTF8.self)
      case UInt8(ascii: "\\"):
        at += 1
        utf8 += Array(String(Character(try escaped())).utf8)
      case ..<0x20: throw failure("a control character in a string")
      default:
        utf8.append(byte)
        at += 1
      }
    }
    throw failure("a string doesn't end")
  }

  private mutating func escaped() throws(SchemaError) -> Unicode.Scalar {
    let character = next
    at += 1
    switch character {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let first = try hexadecimal()
      guard (0xd800...0xdfff).contains(first) else {
        guard let scalar = Unicode.Scalar(first) else { throw failure("no character") }
        return scalar
      }
      guard first < 0xdc00, take("\\"), take("u") else { throw failure("a lone surrogate") }
      let second = try hexadecimal()
      guard (0xdc00...0xdfff).contains(second),
        let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
      else { throw failure("a lone surrogate") }
      return scalar
    default: throw failure("an unknown escape in a string")
    }
  }

  private mutating func hexadecimal() throws(SchemaError) -> UInt32 {
    guard at + 4 <= bytes.count,
      bytes[at..<at + 4].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit && $0 < 0x80 }),
      let number = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
    else { throw failure("four hexadecimal digits are expected") }
    at += 4
    return number
  }
}
