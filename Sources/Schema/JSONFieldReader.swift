/// Walks over the fields of a message's JSON object: for generated `init(json:options:)`.
///
/// A field that is `null` is passed over, as null means absent, unless null is a value of its type.
public struct JSONFieldReader {
  private let message: String
  private let options: JSONOptions
  private var members: ArraySlice<JSONValue.Member>
  private var value = JSONValue.null
  private var claimed: Set<String> = []

  /// The present field's name, as it is spelled in the JSON.
  public private(set) var name = ""

  /// Starts before the first field of the object of a message with this full name.
  ///
  /// - Throws: `invalidJSON` when it isn't an object, or is nested deeper than 100 messages.
  public init(
    _ json: JSONValue, message: String, options: JSONOptions
  ) throws(SchemaError) {
    guard case .object(let members) = json else {
      throw SchemaError(
        .invalidJSON, message: message, text: "an object is expected, not \(json.kind)")
    }
    self.message = message
    self.options = options.inside
    guard self.options.depth <= DecodingLimits.greatestDepth else {
      throw SchemaError(
        .invalidJSON, message: message,
        text: "nested deeper than \(DecodingLimits.greatestDepth) messages")
    }
    self.members = members[...]
  }

  /// Goes to the next field; false at the end.
  public mutating func next() -> Bool {
    guard let member = members.popFirst() else { return false }
    name = member.name
    value = member.value
    return true
  }

  /// The present field as a scalar, enum or message; nil when it is absent after all.
  public func member<Value: JSONMappable>(_ type: Value.Type) throws(SchemaError) -> Value? {
    if value == .null, !Value.takesNull { return nil }
    do throws(SchemaError) {
      return try Value.read(json: value, options: options)
    } catch {
      throw placed(error)
    }
  }

  /// The present field as a singular one.
  public func read<Value: JSONMappable>(_ field: inout Value) throws(SchemaError) {
    if let value = try member(Value.self) { field = value }
  }

  /// The present field as a singular one with presence.
  public func read<Value: JSONMappable>(_ field: inout Value?) throws(SchemaError) {
    if let value = try member(Value.self) { field = value }
  }

  /// The present field as a repeated one; a null among the elements is refused.
  public func list<Value: JSONMappable>(_ field: inout [Value]) throws(SchemaError) {
    guard value != .null else { return }
    guard case .array(let elements) = value else {
      throw failure("an array is expected, not \(value.kind)")
    }
    field.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      if let value: Value = try part(element, "\(index)") { field.append(value) }
    }
  }

  /// The present field as a map; a null among the values is refused.
  public func map<Key: JSONMapKey, Value: JSONMappable>(
    _ field: inout [Key: Value]
  ) throws(SchemaError) {
    guard value != .null else { return }
    guard case .object(let entries) = value else {
      throw failure("an object is expected, not \(value.kind)")
    }
    for entry in entries {
      guard let key = Key(jsonKey: entry.name) else {
        throw failure("\"\(entry.name)\" is no key of this map")
      }
      guard field[key] == nil else { throw failure("\"\(entry.name)\" is given twice") }
      if let value: Value = try part(entry.value, entry.name) { field[key] = value }
    }
  }

  /// An element of a list or map; nil when it is one to be passed over.
  private func part<Value: JSONMappable>(
    _ json: JSONValue, _ place: String
  ) throws(SchemaError) -> Value? {
    do throws(SchemaError) {
      guard json != .null || Value.takesNull else {
        throw JSONValue.failure("null stands for nothing here")
      }
      return try Value.read(json: json, options: options)
    } catch {
      throw placed(error, place)
    }
  }

  /// Says that the present field belongs to this oneof, or is the field of this name under one of its
  /// two spellings: throws when it had a member already.
  public mutating func claim(_ group: String) throws(SchemaError) {
    guard claimed.insert(group).inserted else { throw failure("\(group) is given twice") }
  }

  /// Refuses the present field, as the message has none of this name, or passes it over.
  public func refuse() throws(SchemaError) {
    guard options.ignoresUnknown else { throw failure("the message has no such field") }
  }

  private func failure(_ text: String) -> SchemaError {
    placed(JSONValue.failure(text))
  }

  /// An error inside the present field, with the path to it from this message.
  private func placed(_ error: SchemaError, _ place: String? = nil) -> SchemaError {
    var error = error
    error.message = message
    error.field = [name, place, error.field].compactMap { $0 }.joined(separator: ".")
    return error
  }
}
