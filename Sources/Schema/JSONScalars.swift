import FoundationEssentials

extension JSONValue {
  /// What is wrong with this value.
  func failure(_ text: String) -> Swift.DecodingError {
    .dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: text))
  }

  /// The value, when it isn't null.
  func refusingNull() throws -> JSONValue {
    if isNull { throw failure("null stands for nothing here") }
    return self
  }

  /// An integer, given as a number or as a string.
  func integer<Value: FixedWidthInteger & Decodable>(_ type: Value.Type) throws -> Value {
    let container = try decoder.singleValueContainer()
    if let number = try? container.decode(Value.self) { return number }
    if let text = try? container.decode(String.self) {
      guard Self.looksLikeNumber(text) else { throw failure("not a number") }
      if let number = Value(text) { return number }
      if let number = Double(text), let exact = Value(exactly: number) { return exact }
    } else if let number = try? container.decode(Double.self), let exact = Value(exactly: number) {
      return exact
    }
    throw failure("not a number of type \(Value.self)")
  }

  /// A float, given as a number or as a string, NaN and infinities too.
  func float() throws -> Double {
    let container = try decoder.singleValueContainer()
    if let number = try? container.decode(Double.self) { return number }
    let text = try container.decode(String.self)
    switch text {
    case "NaN": return .nan
    case "Infinity": return .infinity
    case "-Infinity": return -.infinity
    default:
      guard Self.looksLikeNumber(text), let number = Double(text), number.isFinite
      else { throw failure("not a number") }
      return number
    }
  }

  /// Whether the text is made as JSON's numbers are: Swift's own also begin with `+` or `0x`.
  private static func looksLikeNumber(_ text: String) -> Bool {
    guard let first = text.utf8.first, first != UInt8(ascii: "+") else { return false }
    return text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"),
        UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
        true
      default: false
      }
    }
  }

  /// Bytes in base64, standard or URL-safe, with or without padding.
  func bytes() throws -> [UInt8] {
    var text = try decoder.singleValueContainer().decode(String.self)
    text = String(
      text.map { character in
        switch character {
        case "-": "+"
        case "_": "/"
        default: character
        }
      })
    while text.utf8.count % 4 != 0 { text.append("=") }
    guard let data = Data(base64Encoded: text) else { throw failure("not base64") }
    return [UInt8](data)
  }
}

extension Encoder {
  /// Writes one plain value.
  func writeSingle<Value: Encodable>(_ value: Value) throws {
    var container = singleValueContainer()
    try container.encode(value)
  }
}

extension Bool: JSONMappable {
  /// `true` or `false`.
  public init(json value: JSONValue) throws {
    self = try value.decoder.singleValueContainer().decode(Bool.self)
  }
  /// `true` or `false`.
  public func writeJSON(to encoder: any Encoder) throws { try encoder.writeSingle(self) }
  /// Whether it is false.
  public var isJSONDefault: Bool { !self }
}

extension Int32: JSONMappable {
  /// A number, or a string of one.
  public init(json value: JSONValue) throws { self = try value.integer(Int32.self) }
  /// A number.
  public func writeJSON(to encoder: any Encoder) throws { try encoder.writeSingle(self) }
  /// Whether it is 0.
  public var isJSONDefault: Bool { self == 0 }
}

extension UInt32: JSONMappable {
  /// A number, or a string of one.
  public init(json value: JSONValue) throws { self = try value.integer(UInt32.self) }
  /// A number.
  public func writeJSON(to encoder: any Encoder) throws { try encoder.writeSingle(self) }
  /// Whether it is 0.
  public var isJSONDefault: Bool { self == 0 }
}

extension Int64: JSONMappable {
  /// A number, or a string of one.
  public init(json value: JSONValue) throws { self = try value.integer(Int64.self) }
  /// A string, so that readers with floats for numbers lose nothing.
  public func writeJSON(to encoder: any Encoder) throws { try encoder.writeSingle(description) }
  /// Whether it is 0.
  public var isJSONDefault: Bool { self == 0 }
}

extension UInt64: JSONMappable {
  /// A number, or a string of one.
  public init(json value: JSONValue) throws { self = try value.integer(UInt64.self) }
  /// A string, so that readers with floats for numbers lose nothing.
  public func writeJSON(to encoder: any Encoder) throws { try encoder.writeSingle(description) }
  /// Whether it is 0.
  public var isJSONDefault: Bool { self == 0 }
}

extension Double: JSONMappable {
  /// A number, a string of one, or `"NaN"`, `"Infinity"`, `"-Infinity"`.
  public init(json value: JSONValue) throws { self = try value.float() }
  /// A number; NaN and infinities as strings.
  public func writeJSON(to encoder: any Encoder) throws {
    guard !isFinite else { return try encoder.writeSingle(self) }
    try encoder.writeSingle(isNaN ? "NaN" : self < 0 ? "-Infinity" : "Infinity")
  }
  /// Whether it is 0, but not −0.
  public var isJSONDefault: Bool { self == 0 && sign == .plus }
}

extension Float: JSONMappable {
  /// As a double that a float can hold.
  public init(json value: JSONValue) throws {
    let number = try value.float()
    let float = Float(number)
    guard float.isFinite || !number.isFinite else { throw value.failure("too large for a float") }
    self = float
  }
  /// A number; NaN and infinities as strings.
  public func writeJSON(to encoder: any Encoder) throws {
    guard !isFinite else { return try encoder.writeSingle(self) }
    try encoder.writeSingle(isNaN ? "NaN" : self < 0 ? "-Infinity" : "Infinity")
  }
  /// Whether it is 0, but not −0.
  public var isJSONDefault: Bool { self == 0 && sign == .plus }
}

extension String: JSONMappable {
  /// A string.
  public init(json value: JSONValue) throws {
    self = try value.decoder.singleValueContainer().decode(String.self)
  }
  /// A string.
  public func writeJSON(to encoder: any Encoder) throws { try encoder.writeSingle(self) }
  /// Whether it is empty.
  public var isJSONDefault: Bool { isEmpty }
}

extension Array: JSONMappable where Element == UInt8 {
  /// Bytes in base64, standard or URL-safe, with or without padding.
  public init(json value: JSONValue) throws { self = try value.bytes() }
  /// Base64.
  public func writeJSON(to encoder: any Encoder) throws {
    try encoder.writeSingle(Data(self).base64EncodedString())
  }
  /// Whether there are none.
  public var isJSONDefault: Bool { isEmpty }
}

extension Body: JSONMappable, Codable {
  /// Bytes in base64, standard or URL-safe, with or without padding.
  public init(json value: JSONValue) throws { self.init(try value.bytes()) }
  /// Base64.
  public func writeJSON(to encoder: any Encoder) throws {
    try encoder.writeSingle(Data(bytes).base64EncodedString())
  }
  /// Whether there are none.
  public var isJSONDefault: Bool { count == 0 }

  /// Bytes in base64.
  public init(from decoder: any Decoder) throws { try self.init(json: JSONValue(decoder: decoder)) }
  /// Base64.
  public func encode(to encoder: any Encoder) throws { try writeJSON(to: encoder) }
}
