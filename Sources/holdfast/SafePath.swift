/// Where a key's file may stand below a local directory.
enum SafePath {
  /// The longest name that file systems take, in bytes.
  static let maxPartBytes = 255

  /// The parts of the path for the rest of a key after its prefix.
  ///
  /// Keys come from others: one that is absolute, or has empty parts, `.` or `..` could stand for a
  /// place outside the directory, and is refused.
  ///
  /// - Throws: `CommandFailure` that says why.
  static func parts(of rest: Substring, key: String) throws -> [String] {
    let parts = rest.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    for part in parts {
      switch part {
      case "":
        throw refusal(key, "a part of it is empty")
      case ".", "..":
        throw refusal(key, "it leads to another directory by '\(part)'")
      case _ where part.utf8.count > maxPartBytes:
        throw refusal(key, "a part of it has more than \(maxPartBytes) bytes")
      default: continue
      }
    }
    return parts
  }

  private static func refusal(_ key: String, _ reason: String) -> CommandFailure {
    CommandFailure(
      .cannotCreate,
      "'\(shortened(key))' can't be a path below the directory: \(reason); get it by itself")
  }
}
