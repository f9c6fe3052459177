/// A value that proto3's JSON mapping gives a form: scalars, bytes, bodies, enums and messages.
///
/// The generated `Codable` functions of messages are built of these.
public protocol JSONMappable {
  /// Reads the value; throws `Swift.DecodingError` when the JSON has another form.
  init(json value: JSONValue) throws
  /// Writes the value.
  func writeJSON(to encoder: any Encoder) throws
  /// Whether proto3's JSON leaves the value out where a field has no presence.
  var isJSONDefault: Bool { get }
}

/// A map's key in JSON: always a string.
public protocol JSONMapKey: Hashable {
  /// The key of this text; nil when the text isn't one.
  init?(jsonKey: String)
  /// The key as text.
  var jsonKey: String { get }
}

/// One value of the JSON that is being read.
public struct JSONValue {
  /// Where it stands.
  let decoder: any Decoder

  /// Whether it is `null`.
  public var isNull: Bool {
    (try? decoder.singleValueContainer().decodeNil()) ?? false
  }
}

/// A name of a field, or an index, in JSON.
struct JSONKey: CodingKey {
  var stringValue: String
  var intValue: Int? { nil }

  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
  init(_ name: String) { stringValue = name }
}
