extension String: JSONMapKey {
  /// The text itself.
  public init?(jsonKey: String) { self = jsonKey }
  /// The text itself.
  public var jsonKey: String { self }
}

extension Bool: JSONMapKey {
  /// `true` or `false`.
  public init?(jsonKey: String) {
    guard let value = Bool(jsonKey) else { return nil }
    self = value
  }
  /// `true` or `false`.
  public var jsonKey: String { description }
}

extension Int32: JSONMapKey {
  /// A decimal number.
  public init?(jsonKey: String) {
    guard jsonKey.first != "+" else { return nil }
    self.init(jsonKey)
  }
  /// A decimal number.
  public var jsonKey: String { description }
}

extension UInt32: JSONMapKey {
  /// A decimal number.
  public init?(jsonKey: String) {
    guard jsonKey.first != "+" else { return nil }
    self.init(jsonKey)
  }
  /// A decimal number.
  public var jsonKey: String { description }
}

extension Int64: JSONMapKey {
  /// A decimal number.
  public init?(jsonKey: String) {
    guard jsonKey.first != "+" else { return nil }
    self.init(jsonKey)
  }
  /// A decimal number.
  public var jsonKey: String { description }
}

extension UInt64: JSONMapKey {
  /// A decimal number.
  public init?(jsonKey: String) {
    guard jsonKey.first != "+" else { return nil }
    self.init(jsonKey)
  }
  /// A decimal number.
  public var jsonKey: String { description }
}
