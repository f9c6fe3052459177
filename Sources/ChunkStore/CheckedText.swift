import NIOCore
import StoreModel

/// A small text file that is only ever replaced whole: a title, lines, and the checksum of all of them.
///
/// ```
/// holdfast disks 1
/// fedcba9876543210 /srv/disk1
/// checksum 89abcdef
/// ```
enum CheckedText {
  /// The file's text.
  static func text(title: String, lines: some Sequence<String>) -> String {
    let text = title + "\n" + lines.map { $0 + "\n" }.joined()
    return text + "checksum \(DataDirectory.checksum(of: text))\n"
  }

  /// The lines of a text; nil when it is damaged or has another title.
  static func lines(of text: String, title: String) -> ArraySlice<Substring>? {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count >= 3, lines[0] == title, lines[lines.count - 1].isEmpty else { return nil }
    let body = lines.dropLast(2)
    let checksum = DataDirectory.checksum(of: body.joined(separator: "\n") + "\n")
    guard lines[lines.count - 2] == "checksum \(checksum)" else { return nil }
    return body.dropFirst()
  }

  /// Reads a file; nil when there is none.
  static func read(
    _ path: String, on disk: any Disk, maxBytes: Int
  ) async throws(StoreError) -> String? {
    do throws(StoreError) {
      return String(buffer: try await disk.read(path, at: 0, length: maxBytes).bytes)
    } catch {
      guard error.code == .notFound else { throw error }
      return nil
    }
  }

  /// Replaces a file. It is durable when this returns, unless no `directory` is given: then the power
  /// may take it.
  static func write(
    _ text: String, to path: String, in directory: String? = "", on disk: any Disk
  ) async throws(StoreError) {
    let temporary = path + StorePaths.temporarySuffix
    try await disk.removeIfThere(temporary)
    let bytes = Array(text.utf8)
    try await disk.publish(
      DiskBuffer(copying: bytes), bytes: bytes.count, through: temporary, as: path)
    if let directory { try await disk.sync(directory: directory) }
  }
}
