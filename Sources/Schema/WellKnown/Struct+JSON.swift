// JSON inside protobuf: the values of `google/protobuf/struct.proto` are written as what they mean.

extension Google_Protobuf_Struct {
  /// A JSON object.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    guard case .object(let members) = json else {
      throw JSONValue.failure("an object is expected, not \(json.kind)")
    }
    self.init()
    for member in members {
      fields[member.name] = try Google_Protobuf_Value(json: member.value, options: options)
    }
  }

  /// A JSON object; names are sorted.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try out.object { out throws(SchemaError) in
      for (name, value) in fields.sorted(by: { $0.key < $1.key }) { try out.member(name, value) }
    }
  }
}

extension Google_Protobuf_ListValue {
  /// A JSON array.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    guard case .array(let elements) = json else {
      throw JSONValue.failure("an array is expected, not \(json.kind)")
    }
    self.init()
    for element in elements {
      values.append(try Google_Protobuf_Value(json: element, options: options))
    }
  }

  /// A JSON array.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    try out.array(values)
  }
}

extension Google_Protobuf_Value {
  /// Any JSON.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    switch json {
    case .null: self.init(kind: .nullValue(.nullValue))
    case .bool(let flag): self.init(kind: .boolValue(flag))
    case .number: self.init(kind: .numberValue(try Double(json: json, options: options)))
    case .string(let text): self.init(kind: .stringValue(text))
    case .array:
      self.init(kind: .listValue(try Google_Protobuf_ListValue(json: json, options: options)))
    case .object:
      self.init(kind: .structValue(try Google_Protobuf_Struct(json: json, options: options)))
    }
  }

  /// What the value means; one without a kind, and numbers that aren't finite, have no JSON.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    switch kind {
    case .nullValue?: out.raw("null")
    case .numberValue(let number)?:
      guard number.isFinite else { throw JSONValue.failure("\(number) has no JSON in a Value") }
      try number.writeJSON(to: &out)
    case .stringValue(let text)?: out.string(text)
    case .boolValue(let flag)?: try flag.writeJSON(to: &out)
    case .structValue(let value)?: try value.writeJSON(to: &out)
    case .listValue(let list)?: try list.writeJSON(to: &out)
    case nil: throw JSONValue.failure("a Value without a kind has no JSON")
    }
  }

  /// Null is a value.
  public static var takesNull: Bool { true }
}

extension Google_Protobuf_NullValue {
  /// Null, or the value's name or number.
  public static func read(
    json: JSONValue, options: JSONOptions
  ) throws(SchemaError) -> Google_Protobuf_NullValue? {
    switch json {
    case .null, .string("NULL_VALUE"): return .nullValue
    case .number: return Self(rawValue: try json.integer(Int32.self))
    default: throw JSONValue.failure("null is expected, not \(json.kind)")
    }
  }

  /// Null.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) { out.raw("null") }

  /// Null is the value.
  public static var takesNull: Bool { true }
}
