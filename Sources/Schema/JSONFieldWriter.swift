/// Writes the fields of a message's JSON object: for generated `encode(to:)`.
///
/// Names are the fields' JSON names.
public struct JSONFieldWriter {
  private var container: KeyedEncodingContainer<JSONKey>

  /// Begins the object.
  public init(_ encoder: any Encoder) {
    container = encoder.container(keyedBy: JSONKey.self)
  }

  /// A field without presence: left out when it has its default.
  public mutating func field<Value: JSONMappable>(_ name: String, _ value: Value) throws {
    guard !value.isJSONDefault else { return }
    try member(name, value)
  }

  /// A field with presence: left out when nil.
  public mutating func field<Value: JSONMappable>(_ name: String, _ value: Value?) throws {
    guard let value else { return }
    try member(name, value)
  }

  /// A field that is there whatever its value: a member of a oneof.
  public mutating func member<Value: JSONMappable>(_ name: String, _ value: Value) throws {
    try value.writeJSON(to: container.superEncoder(forKey: JSONKey(name)))
  }

  /// A repeated field: left out when empty.
  public mutating func list<Value: JSONMappable>(_ name: String, _ list: [Value]) throws {
    guard !list.isEmpty else { return }
    var elements = container.nestedUnkeyedContainer(forKey: JSONKey(name))
    for value in list { try value.writeJSON(to: elements.superEncoder()) }
  }

  /// A map field: left out when empty; in the order of the keys' text.
  public mutating func map<Key: JSONMapKey, Value: JSONMappable>(
    _ name: String, _ map: [Key: Value]
  ) throws {
    guard !map.isEmpty else { return }
    var entries = container.nestedContainer(keyedBy: JSONKey.self, forKey: JSONKey(name))
    for (key, value) in map.map({ ($0.key.jsonKey, $0.value) }).sorted(by: { $0.0 < $1.0 }) {
      try value.writeJSON(to: entries.superEncoder(forKey: JSONKey(key)))
    }
  }
}
