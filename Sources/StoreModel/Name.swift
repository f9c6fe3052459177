/// A file's name: a bucket and a key, as in S3.
///
/// A value of this type is always valid: the bucket has 1 to 63 bytes of `a-z`, `0-9`, `-` and `.`; the
/// key has 1 to 1,024 bytes of UTF-8 without NUL, and may hold `/`.
public struct Name: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The bucket that names without one belong to.
  public static let defaultBucket = "default"
  /// The most bytes a key may have: S3's limit.
  public static let maxKeyBytes = 1_024
  /// The most bytes a bucket may have: S3's limit.
  public static let maxBucketBytes = 63

  /// The bucket.
  public let bucket: String
  /// The key.
  public let key: String

  /// Checks and makes a name.
  ///
  /// - Throws: `StoreError.invalidArgument` that says what is wrong.
  public init(bucket: String, key: String) throws(StoreError) {
    try Name.check(bucket: bucket)
    guard !key.isEmpty else { throw StoreError(.invalidArgument, "the key is empty") }
    guard key.utf8.count <= Name.maxKeyBytes else {
      throw StoreError(
        .invalidArgument,
        "the key has \(key.utf8.count) bytes; at most \(Name.maxKeyBytes) are allowed")
    }
    guard !key.utf8.contains(0) else {
      throw StoreError(.invalidArgument, "the key has a NUL byte")
    }
    self.bucket = bucket
    self.key = key
  }

  /// A name that was checked before it was stored.
  package init(storedBucket bucket: String, key: String) {
    self.bucket = bucket
    self.key = key
  }

  /// Reads `[BUCKET:]KEY`. What stands before the first colon is the bucket when it is a valid one;
  /// begin with `:` or name the bucket for a key that holds a colon itself.
  ///
  /// - Throws: `StoreError.invalidArgument` that says what is wrong.
  public init(parsing text: String) throws(StoreError) {
    guard let colon = text.firstIndex(of: ":") else {
      try self.init(bucket: Name.defaultBucket, key: text)
      return
    }
    let bucket = String(text[..<colon])
    let key = String(text[text.index(after: colon)...])
    try self.init(bucket: bucket.isEmpty ? Name.defaultBucket : bucket, key: key)
  }

  /// Checks a bucket's name.
  ///
  /// - Throws: `StoreError.invalidArgument` that says what is wrong.
  public static func check(bucket: String) throws(StoreError) {
    guard (1...maxBucketBytes).contains(bucket.utf8.count) else {
      throw StoreError(
        .invalidArgument,
        "the bucket '\(bucket)' has \(bucket.utf8.count) bytes; 1 to \(maxBucketBytes) are allowed")
    }
    let allowed = bucket.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "-"), UInt8(ascii: "."):
        true
      default: false
      }
    }
    guard allowed else {
      throw StoreError(
        .invalidArgument, "the bucket '\(bucket)' has characters other than a-z, 0-9, '-' and '.'")
    }
  }

  /// `bucket:key`, or the key alone in the default bucket when it has no colon.
  public var description: String {
    bucket == Name.defaultBucket && !key.utf8.contains(UInt8(ascii: ":")) ? key : "\(bucket):\(key)"
  }

  /// Whether two names have the same bytes. Swift's own comparison would take two keys for one when
  /// they differ only in how their accents are composed.
  public static func == (a: Name, b: Name) -> Bool {
    a.bucket.utf8.elementsEqual(b.bucket.utf8) && a.key.utf8.elementsEqual(b.key.utf8)
  }

  /// Hashes the bytes that `==` compares.
  public func hash(into hasher: inout Hasher) {
    for byte in bucket.utf8 { hasher.combine(byte) }
    hasher.combine(UInt8(0))
    for byte in key.utf8 { hasher.combine(byte) }
  }

  /// By the bytes of the bucket, then of the key.
  public static func < (a: Name, b: Name) -> Bool {
    guard a.bucket.utf8.elementsEqual(b.bucket.utf8) else {
      return a.bucket.utf8.lexicographicallyPrecedes(b.bucket.utf8)
    }
    return a.key.utf8.lexicographicallyPrecedes(b.key.utf8)
  }
}
