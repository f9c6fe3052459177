/// A protobuf enum as a Swift enum: open, so that a number the schema doesn't know is kept.
public protocol OpenEnum: Sendable, Hashable, Codable, JSONMappable {
  /// The enum's full name in its schema.
  static var fullName: String { get }
  /// Every number with its name in the schema, aliases after the first name, in the schema's order.
  static var names: [(number: Int32, name: String)] { get }
  /// The number on the wire.
  var rawValue: Int32 { get }
  /// The case of a number; `UNRECOGNIZED` for a number that the schema doesn't know.
  init(rawValue: Int32)
  /// The default: the case of the schema's first value (0 in proto3).
  init()
}

extension OpenEnum {
  /// The value's name in the schema; nil for a number that the schema doesn't know.
  public var name: String? {
    let number = rawValue
    return Self.names.first { $0.number == number }?.name
  }

  /// The case with this name in the schema; nil when there is none.
  public init?(name: String) {
    guard let known = Self.names.first(where: { $0.name == name }) else { return nil }
    self.init(rawValue: known.number)
  }
}
