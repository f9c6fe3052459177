/// A value that proto3's JSON mapping gives a form: scalars, bytes, bodies, enums and messages.
///
/// Source: the "ProtoJSON Format" of protobuf's documentation.
public protocol JSONMappable {
  /// Reads the value.
  ///
  /// - Throws: `invalidJSON` when the JSON has another form.
  init(json: JSONValue, options: JSONOptions) throws(SchemaError)
  /// Reads the value; nil when it is one to be passed over.
  static func read(json: JSONValue, options: JSONOptions) throws(SchemaError) -> Self?
  /// Writes the value.
  func writeJSON(to out: inout JSONWriter) throws(SchemaError)
  /// Whether proto3's JSON leaves the value out where a field has no presence.
  var isJSONDefault: Bool { get }
  /// Whether `null` is a value of this type; else it means that there is none.
  static var takesNull: Bool { get }
}

extension JSONMappable {
  /// The value: few types know any to be passed over.
  public static func read(json: JSONValue, options: JSONOptions) throws(SchemaError) -> Self? {
    try Self(json: json, options: options)
  }

  /// No.
  public static var takesNull: Bool { false }
}

/// A map's key in JSON: always a string.
public protocol JSONMapKey: Hashable {
  /// The key of this text; nil when the text isn't one.
  init?(jsonKey: String)
  /// The key as text.
  var jsonKey: String { get }
}

extension JSONValue: JSONMappable {
  /// Itself.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) { self = json }
  /// As it was read.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) { try out.value(self) }
  /// Never.
  public var isJSONDefault: Bool { false }
  /// Yes.
  public static var takesNull: Bool { true }
}
