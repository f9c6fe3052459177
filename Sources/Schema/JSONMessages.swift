extension Message {
  /// A JSON object.
  public init(json value: JSONValue) throws { try self.init(from: value.decoder) }
  /// A JSON object.
  public func writeJSON(to encoder: any Encoder) throws { try encode(to: encoder) }
  /// Never: a message that is there is written, even when it is empty.
  public var isJSONDefault: Bool { false }
}

extension OpenEnum {
  /// A value's name or number.
  public init(json value: JSONValue) throws {
    let container = try value.decoder.singleValueContainer()
    guard let name = try? container.decode(String.self) else {
      self.init(rawValue: try value.integer(Int32.self))
      return
    }
    guard let known = Self(name: name) else {
      throw value.failure("\(Self.fullName) has no value \(name)")
    }
    self = known
  }

  /// The value's name; its number when the schema doesn't know it.
  public func writeJSON(to encoder: any Encoder) throws {
    if let name { try encoder.writeSingle(name) } else { try encoder.writeSingle(rawValue) }
  }

  /// Whether it is the default.
  public var isJSONDefault: Bool { self == Self() }

  /// A value's name or number.
  public init(from decoder: any Decoder) throws { try self.init(json: JSONValue(decoder: decoder)) }
  /// The value's name; its number when the schema doesn't know it.
  public func encode(to encoder: any Encoder) throws { try writeJSON(to: encoder) }
}
