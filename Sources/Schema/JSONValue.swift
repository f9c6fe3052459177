/// A value of JSON, as its text has it: numbers are not yet numbers, so that none loses digits.
public indirect enum JSONValue: Sendable, Hashable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number's text, made as JSON's grammar says.
  case number(String)
  /// A string's characters.
  case string(String)
  /// Elements in brackets.
  case array([JSONValue])
  /// Members in braces, in their order; names are unique.
  case object([Member])

  /// A name and its value.
  public struct Member: Sendable, Hashable {
    /// The name.
    public var name: String
    /// The value.
    public var value: JSONValue

    /// Makes a member.
    public init(name: String, value: JSONValue) {
      self.name = name
      self.value = value
    }
  }
}

extension JSONValue {
  /// Reads JSON text, stricter than RFC 8259: names are unique, surrogates come in pairs.
  ///
  /// - Throws: `invalidJSON`, which says where.
  public init(parsing text: String) throws(SchemaError) {
    self = try JSONParser.parse(text)
  }

  /// What is wrong with a value; whoever knows the field adds it.
  static func failure(_ text: String) -> SchemaError {
    SchemaError(.invalidJSON, message: "", text: text)
  }

  /// What kind of value it is, for errors.
  var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a bool"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }

  /// The characters of a string.
  func text() throws(SchemaError) -> String {
    guard case .string(let text) = self else {
      throw Self.failure("a string is expected, not \(kind)")
    }
    return text
  }
}

// Other formats' coders, Foundation's JSON among them, carry messages as values of this kind.
extension JSONValue: Codable {
  private struct Name: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// Takes whatever the decoder has.
  ///
  /// - Throws: what the decoder throws.
  public init(from decoder: any Decoder) throws {
    if let members = try? decoder.container(keyedBy: Name.self) {
      let names = members.allKeys.sorted { $0.stringValue < $1.stringValue }
      self = .object(
        try names.map {
          Member(name: $0.stringValue, value: try members.decode(JSONValue.self, forKey: $0))
        })
      return
    }
    if var elements = try? decoder.unkeyedContainer() {
      var list: [JSONValue] = []
      while !elements.isAtEnd { list.append(try elements.decode(JSONValue.self)) }
      self = .array(list)
      return
    }
    let single = try decoder.singleValueContainer()
    if single.decodeNil() {
      self = .null
    } else if let flag = try? single.decode(Bool.self) {
      self = .bool(flag)
    } else if let text = try? single.decode(String.self) {
      self = .string(text)
    } else if let number = try? single.decode(Int64.self) {
      self = .number("\(number)")
    } else if let number = try? single.decode(UInt64.self) {
      self = .number("\(number)")
    } else {
      self = .number("\(try single.decode(Double.self))")
    }
  }

  /// Gives the value to the encoder.
  ///
  /// - Throws: what the encoder throws.
  public func encode(to encoder: any Encoder) throws {
    switch self {
    case .object(let members):
      var container = encoder.container(keyedBy: Name.self)
      for member in members {
        try container.encode(member.value, forKey: Name(stringValue: member.name))
      }
    case .array(let elements):
      var container = encoder.unkeyedContainer()
      for element in elements { try container.encode(element) }
    default:
      var container = encoder.singleValueContainer()
      switch self {
      case .bool(let flag): try container.encode(flag)
      case .string(let text): try container.encode(text)
      case .number(let text):
        if let number = Int64(text) {
          try container.encode(number)
        } else if let number = UInt64(text) {
          try container.encode(number)
        } else {
          try container.encode(Double(text) ?? 0)
        }
      default: try container.encodeNil()
      }
    }
  }
}
