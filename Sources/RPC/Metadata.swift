/// What travels beside a call's messages: an ordered list of keys and values.
///
/// Keys are lower-case ASCII (letters, digits, `-`, `_`, `.`). A key that ends in `-bin` has any bytes
/// as its value; every other key has printable ASCII.
public struct Metadata: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// One key with its value.
  public struct Entry: Sendable, Hashable {
    /// Lower-case ASCII.
    public var key: String
    /// The value's bytes.
    public var value: [UInt8]

    /// Makes an entry.
    public init(key: String, value: [UInt8]) {
      self.key = key
      self.value = value
    }
  }

  /// All entries, in order; a key may stand more than once.
  public var entries: [Entry]

  /// Nothing.
  public init() {
    entries = []
  }

  /// Text values by key, in the literal's order.
  public init(dictionaryLiteral elements: (String, String)...) {
    entries = elements.map { Entry(key: $0.0, value: Array($0.1.utf8)) }
  }

  /// The first text value of `key`; nil when it is absent or not UTF-8.
  public subscript(key: String) -> String? {
    entries.first { $0.key == key }.flatMap { String(validating: $0.value, as: UTF8.self) }
  }

  /// Adds a text value.
  public mutating func append(_ key: String, _ value: String) {
    entries.append(Entry(key: key, value: Array(value.utf8)))
  }
}

extension Metadata {
  /// About what it takes in memory: small entries take several times their bytes.
  var memoryBytes: Int {
    entries.reduce(0) { $0 + Self.entryBytes + $1.key.utf8.count + $1.value.count }
  }

  /// What an entry takes beside its bytes.
  private static let entryBytes = 96
}
