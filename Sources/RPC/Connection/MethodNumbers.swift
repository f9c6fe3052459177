/// A server's book of the numbers that a connection's client gave to methods.
struct MethodNumbers: Sendable {
  /// Paths by number, from 1.
  private var paths: [String] = []
  /// Bytes of those.
  private(set) var bytes = 0

  /// The most method numbers on a connection.
  static let most = 1_024
  /// The most bytes of a method's path.
  static let mostPathBytes = 1_024

  /// Completes the path from the number, or binds it; false when there is no path.
  ///
  /// - Throws: a connection error: a path that is too long, or a number that isn't the next one.
  mutating func resolve(_ opening: inout CallOpening) throws(ConnectionFailure) -> Bool {
    guard opening.method.utf8.count <= Self.mostPathBytes else {
      throw ConnectionFailure("a method's path of \(opening.method.utf8.count) bytes")
    }
    if opening.methodID == 0 { return !opening.method.isEmpty }
    if opening.method.isEmpty {
      guard opening.methodID <= paths.count else { return false }
      opening.method = paths[Int(opening.methodID) - 1]
      return true
    }
    guard Int(opening.methodID) == paths.count + 1, paths.count < Self.most else {
      throw ConnectionFailure("method number \(opening.methodID) is out of order")
    }
    paths.append(opening.method)
    bytes += opening.method.utf8.count
    return true
  }
}
