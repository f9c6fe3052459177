extension JSONValue {
  /// An integer, given as a number or as a string; one with a fraction of zero is one too.
  func integer<Value: FixedWidthInteger>(_ type: Value.Type) throws(SchemaError) -> Value {
    let text = try numberText()
    if let number = Value(text) { return number }
    // A float would take an integer just out of range for the nearest one in it.
    if text.contains(where: { ".eE".contains($0) }), let number = Double(text),
      let exact = Value(exactly: number)
    {
      return exact
    }
    throw Self.failure("'\(text)' is no number of type \(type)")
  }

  /// A float, given as a number or as a string, NaN and infinities too.
  func float<Value: BinaryFloatingPoint & LosslessStringConvertible>(
    _ type: Value.Type
  ) throws(SchemaError) -> Value {
    switch self {
    case .string("NaN"): return .nan
    case .string("Infinity"): return .infinity
    case .string("-Infinity"): return -.infinity
    default:
      let text = try numberText()
      guard let number = Value(text), number.isFinite else {
        throw Self.failure("'\(text)' is too large for a \(type)")
      }
      return number
    }
  }

  /// A number's text, given as a number or as a string of one.
  private func numberText() throws(SchemaError) -> String {
    switch self {
    case .number(let text): return text
    case .string(let text):
      // No space around it, which JSON's text may have.
      if case .number(let number)? = try? JSONParser.parse(text), number == text { return text }
    default: break
    }
    throw Self.failure("a number is expected, not \(kind)")
  }
}

extension Int32: JSONMappable {
  /// A number, or a string of one.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self = try json.integer(Int32.self)
  }
  /// A number.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) { out.raw(description) }
  /// Whether it is 0.
  public var isJSONDefault: Bool { self == 0 }
}

extension UInt32: JSONMappable {
  /// A number, or a string of one.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self = try json.integer(UInt32.self)
  }
  /// A number.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) { out.raw(description) }
  /// Whether it is 0.
  public var isJSONDefault: Bool { self == 0 }
}

extension Int64: JSONMappable {
  /// A number, or a string of one.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self = try json.integer(Int64.self)
  }
  /// A string, so that readers with floats for numbers lose nothing.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) { out.string(description) }
  /// Whether it is 0.
  public var isJSONDefault: Bool { self == 0 }
}

extension UInt64: JSONMappable {
  /// A number, or a string of one.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self = try json.integer(UInt64.self)
  }
  /// A string, so that readers with floats for numbers lose nothing.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) { out.string(description) }
  /// Whether it is 0.
  public var isJSONDefault: Bool { self == 0 }
}

extension Double: JSONMappable {
  /// A number, a string of one, or `"NaN"`, `"Infinity"`, `"-Infinity"`.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self = try json.float(Double.self)
  }
  /// A number; NaN and infinities as strings.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) { out.float(self) }
  /// Whether it is 0, but not −0.
  public var isJSONDefault: Bool { self == 0 && sign == .plus }
}

extension Float: JSONMappable {
  /// A number, a string of one, or `"NaN"`, `"Infinity"`, `"-Infinity"`.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    self = try json.float(Float.self)
  }
  /// A number; NaN and infinities as strings.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) { out.float(self) }
  /// Whether it is 0, but not −0.
  public var isJSONDefault: Bool { self == 0 && sign == .plus }
}

extension JSONWriter {
  /// A float in the fewest digits that give it back.
  fileprivate mutating func float(
    _ value: some BinaryFloatingPoint & CustomStringConvertible
  ) {
    guard value.isFinite else {
      return string(value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity")
    }
    let text = value.description
    raw(text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
  }
}
