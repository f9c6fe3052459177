import FoundationEssentials

extension Bool: JSONMappable {
  /// `true` or `false`.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    guard case .bool(let flag) = json else {
      throw JSONValue.failure("a bool is expected, not \(json.kind)")
    }
    self = flag
  }
  /// `true` or `false`.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) { out.raw(description) }
  /// Whether it is false.
  public var isJSONDefault: Bool { !self }
}

extension String: JSONMappable {
  /// A string.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self = try json.text()
  }
  /// A string.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) { out.string(self) }
  /// Whether it is empty.
  public var isJSONDefault: Bool { isEmpty }
}

extension Array: JSONMappable where Element == UInt8 {
  /// Bytes in base64, standard or URL-safe, with or without padding.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    var text = String(
      try json.text().map { character in
        switch character {
        case "-": "+"
        case "_": "/"
        default: character
        }
      })
    while text.utf8.count % 4 != 0 { text.append("=") }
    guard let data = Data(base64Encoded: text) else { throw JSONValue.failure("not base64") }
    self = [UInt8](data)
  }
  /// Base64.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    out.string(Data(self).base64EncodedString())
  }
  /// Whether there are none.
  public var isJSONDefault: Bool { isEmpty }
}

extension Body: JSONMappable, Codable {
  /// Bytes in base64, standard or URL-safe, with or without padding.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self.init(try [UInt8](json: json, options: options))
  }
  /// Base64.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try bytes.writeJSON(to: &out)
  }
  /// Whether there are none.
  public var isJSONDefault: Bool { count == 0 }

  /// Bytes in base64.
  public init(from decoder: any Decoder) throws {
    try self.init(json: JSONValue(from: decoder), options: JSONOptions())
  }
  /// Base64.
  public func encode(to encoder: any Encoder) throws { try jsonValue().encode(to: encoder) }
}

extension OpenEnum {
  /// A value's name or number.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    guard let value = try Self.read(json: json, options: options) else {
      throw JSONValue.failure("\(Self.fullName) has no such value")
    }
    self = value
  }

  /// A value's name or number; nil for an unknown name when those are to be passed over.
  public static func read(json: JSONValue, options: JSONOptions) throws(SchemaError) -> Self? {
    guard case .string(let name) = json else {
      return Self(rawValue: try json.integer(Int32.self))
    }
    if let known = Self(name: name) { return known }
    guard options.ignoresUnknown else {
      throw JSONValue.failure("\(Self.fullName) has no value \(name)")
    }
    return nil
  }

  /// The value's name; its number when the schema doesn't know it.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    if let name { out.string(name) } else { out.raw("\(rawValue)") }
  }

  /// Whether it is the default.
  public var isJSONDefault: Bool { self == Self() }

  /// A value's name or number.
  public init(from decoder: any Decoder) throws {
    try self.init(json: JSONValue(from: decoder), options: JSONOptions())
  }
  /// The value's name; its number when the schema doesn't know it.
  public func encode(to encoder: any Encoder) throws { try jsonValue().encode(to: encoder) }
}
