/// What may be chosen when messages are read from JSON and written to it.
public struct JSONOptions: Sendable {
  /// Whether names, and names of enums' values, that the schema doesn't know are passed over. Otherwise
  /// they are refused.
  public var ignoresUnknown: Bool
  /// Whether fields without presence are written when they have their default too.
  public var writesDefaults: Bool
  /// The messages that an `Any` may hold. The well-known types always are.
  public var types: [any Message.Type]
  /// How many messages surround the one that is read.
  private(set) var depth = 0

  /// Refuses what is unknown, leaves defaults out, knows no message of an `Any` but the well-known.
  public init(
    ignoresUnknown: Bool = false, writesDefaults: Bool = false, types: [any Message.Type] = []
  ) {
    self.ignoresUnknown = ignoresUnknown
    self.writesDefaults = writesDefaults
    self.types = types
  }

  /// The same, for what is in a message.
  var inside: JSONOptions {
    var inside = self
    inside.depth += 1
    return inside
  }

  /// The message of this full name; nil when none of the types bears it.
  func type(named name: Substring) -> (any Message.Type)? {
    types.first { $0.fullName == name } ?? WellKnownTypes.all.first { $0.fullName == name }
  }
}
