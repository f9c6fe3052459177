/// Which names to list: a prefix of keys in a bucket, folded at a delimiter, a page at a time.
///
/// A listing is one sequence of keys and folded prefixes in the order of their bytes; a page is the part
/// of it that comes after `after`. So pages are stable: what changes elsewhere moves nothing.
public struct ListingQuery: Sendable, Hashable {
  /// The most keys and prefixes of a page.
  public static let maxLimit = 1_000

  /// The bucket.
  public let bucket: String
  /// Only keys that begin so.
  public let prefix: [UInt8]
  /// Keys that hold it after the prefix are folded up to its first place; empty: none are.
  public let delimiter: [UInt8]
  /// Only what comes after this; empty: from the start.
  public let after: [UInt8]
  /// Keys and prefixes of a page, 1 to 1,000.
  public let limit: Int

  /// Checks and makes a query.
  ///
  /// - Throws: `StoreError.invalidArgument` that says what is wrong.
  public init(
    bucket: String, prefix: String = "", delimiter: String = "", after: String = "",
    limit: Int = ListingQuery.maxLimit
  ) throws(StoreError) {
    try Name.check(bucket: bucket)
    for (what, text) in [("prefix", prefix), ("delimiter", delimiter), ("after", after)] {
      guard text.utf8.count <= Name.maxKeyBytes else {
        throw StoreError(
          .invalidArgument, "'\(what)' has more than \(Name.maxKeyBytes) bytes, as no key has")
      }
    }
    guard (1...ListingQuery.maxLimit).contains(limit) else {
      throw StoreError(.invalidArgument, "a page has 1 to \(ListingQuery.maxLimit) names")
    }
    self.bucket = bucket
    self.prefix = Array(prefix.utf8)
    self.delimiter = Array(delimiter.utf8)
    self.after = Array(after.utf8)
    self.limit = limit
  }

  /// Where a search begins: at the first key that is at least, or more than, these bytes.
  public enum Start: Sendable, Hashable {
    /// At these bytes or behind them.
    case at([UInt8])
    /// Behind these bytes.
    case behind([UInt8])
  }

  /// Where the page's first key is looked for; nil when nothing can come.
  public var start: Start? {
    guard prefix.lexicographicallyPrecedes(after) || prefix == after, !after.isEmpty else {
      return .at(prefix)
    }
    guard let folded = folded(after) else { return .behind(after) }
    return ListingQuery.successor(of: folded).map { .at($0) }
  }

  /// The least bytes that are behind every key with the prefix; nil when there are none.
  public var end: [UInt8]? {
    ListingQuery.successor(of: prefix)
  }

  /// The prefix that a key is folded into; nil when it stands for itself or isn't in the listing.
  public func folded(_ key: [UInt8]) -> [UInt8]? {
    guard !delimiter.isEmpty, key.starts(with: prefix) else { return nil }
    var place = prefix.count
    while place + delimiter.count <= key.count {
      if key[place...].starts(with: delimiter) { return Array(key[..<(place + delimiter.count)]) }
      place += 1
    }
    return nil
  }

  /// The least bytes that are more than everything that begins with `prefix`; nil when there are none.
  public static func successor(of prefix: [UInt8]) -> [UInt8]? {
    var bytes = prefix
    while let last = bytes.popLast() {
      if last < 0xFF { return bytes + [last + 1] }
    }
    return nil
  }
}

/// A page of a listing.
public struct ListingPage: Sendable, Hashable {
  /// Keys that stand for themselves, in the order of their bytes.
  public var entries: [Entry]
  /// Folded prefixes, in the order of their bytes.
  public var prefixes: [String]
  /// Where the next page begins (`after`); nil when this is the last one.
  public var nextAfter: String?

  /// Makes a page; an empty last one without arguments.
  public init(entries: [Entry] = [], prefixes: [String] = [], nextAfter: String? = nil) {
    self.entries = entries
    self.prefixes = prefixes
    self.nextAfter = nextAfter
  }
}
