/// A redundancy policy: how many copies a chunk should have, and how few may acknowledge it.
public enum StorageClass: String, Sendable, Hashable, CaseIterable, CustomStringConvertible {
  /// One copy.
  case replica1 = "replica-1"
  /// Two copies; one acknowledges.
  case replica2 = "replica-2"
  /// Three copies; two acknowledge.
  case replica3 = "replica-3"

  /// The class of files for which nobody chose one.
  public static let standard = StorageClass.replica3

  /// The class with this name; the standard one for the empty name.
  ///
  /// - Throws: `StoreError.invalidArgument` that lists the names there are.
  public init(named name: String) throws(StoreError) {
    if name.isEmpty {
      self = .standard
      return
    }
    guard let known = StorageClass(rawValue: name) else {
      let names = StorageClass.allCases.map(\.rawValue).joined(separator: ", ")
      throw StoreError(
        .invalidArgument, "there is no storage class '\(name)'; the classes are \(names)")
    }
    self = known
  }

  /// Copies that a chunk should have.
  public var targetCopies: Int {
    switch self {
    case .replica1: 1
    case .replica2: 2
    case .replica3: 3
    }
  }

  /// The least number of copies with which a write is acknowledged.
  public var leastCopies: Int {
    switch self {
    case .replica1, .replica2: 1
    case .replica3: 2
    }
  }

  /// The class's name, such as `replica-3`.
  public var description: String {
    rawValue
  }
}
