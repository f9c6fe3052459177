/// Walks over the fields of a message's JSON object: for generated `init(from:)`.
///
/// Fields that are `null` are passed over: null means absent.
public struct JSONFieldReader {
  private let container: KeyedDecodingContainer<JSONKey>
  private let message: String
  private var keys: ArraySlice<JSONKey>
  private var present: JSONKey?
  private var claimed: Set<String> = []

  /// The present field's name, as it is spelled in the JSON.
  public private(set) var name = ""

  /// Starts before the first field of the object of a message with this full name.
  ///
  /// Throws when it isn't an object, or is nested deeper than 100 messages.
  public init(_ decoder: any Decoder, message: String) throws {
    let path = decoder.codingPath
    guard path.count(where: { $0.intValue == nil }) < DecodingLimits.greatestDepth else {
      throw Swift.DecodingError.dataCorrupted(
        .init(
          codingPath: path,
          debugDescription: "nested deeper than \(DecodingLimits.greatestDepth) messages"))
    }
    container = try decoder.container(keyedBy: JSONKey.self)
    self.message = message
    keys = container.allKeys.sorted { $0.stringValue < $1.stringValue }[...]
  }

  /// Goes to the next field that isn't null; false at the end.
  public mutating func next() throws -> Bool {
    while let key = keys.popFirst() {
      guard try !container.decodeNil(forKey: key) else { continue }
      present = key
      name = key.stringValue
      return true
    }
    return false
  }

  /// The present field's value.
  private func presentValue() throws -> JSONValue {
    guard let present else { preconditionFailure("next() comes first") }
    return JSONValue(decoder: try container.superDecoder(forKey: present))
  }

  /// The present field as a scalar, enum or message.
  public func value<Value: JSONMappable>() throws -> Value {
    try Value(json: presentValue())
  }

  /// The present field as a repeated one; a null among the elements is refused.
  public func list<Value: JSONMappable>() throws -> [Value] {
    var elements = try presentValue().decoder.unkeyedContainer()
    var list: [Value] = []
    while !elements.isAtEnd {
      list.append(try Value(json: JSONValue(decoder: elements.superDecoder()).refusingNull()))
    }
    return list
  }

  /// The present field as a map; a null among the values is refused.
  public func map<Key: JSONMapKey, Value: JSONMappable>() throws -> [Key: Value] {
    let entries = try presentValue().decoder.container(keyedBy: JSONKey.self)
    var map: [Key: Value] = [:]
    for key in entries.allKeys.sorted(by: { $0.stringValue < $1.stringValue }) {
      guard let mapKey = Key(jsonKey: key.stringValue) else {
        throw failure("\"\(key.stringValue)\" is no key of this map")
      }
      let value = JSONValue(decoder: try entries.superDecoder(forKey: key))
      map[mapKey] = try Value(json: value.refusingNull())
    }
    return map
  }

  /// Says that the present field belongs to this oneof, or is the field of this name under one of
  /// its two spellings: throws when it had a member already.
  public mutating func claim(_ group: String) throws {
    guard claimed.insert(group).inserted else {
      throw failure("\(group) is given twice")
    }
  }

  /// Refuses the present field: the message has none of this name.
  public func refuse() throws {
    throw failure("\(message) has no field \(name)")
  }

  private func failure(_ text: String) -> Swift.DecodingError {
    .dataCorrupted(
      .init(codingPath: container.codingPath + [present ?? JSONKey(name)], debugDescription: text))
  }
}
