import Checksum
import NIOCore
import StoreModel

/// Whose data a directory holds: its `format` file, of a few lines of text that people can read.
///
/// ```
/// holdfast chunks 3
/// node 0123456789abcdef
/// disk fedcba9876543210
/// cluster NAME
/// checksum 89abcdef
/// ```
///
/// The version rises with that of any file in the directory: what an older program can't read, it is to refuse as a
/// whole. The cluster's line ends after the space while the data belongs to none. The checksum is CRC-32C of
/// the lines before it. The file is only ever replaced as a whole, by a rename.
struct DataDirectory: Sendable, Hashable {
  /// The node's own number.
  var node: NodeID
  /// The directory's own number, never 0: a node may have several.
  var disk: UInt64
  /// The cluster that the data belongs to; empty: none yet.
  var cluster: String
  /// Whether the file is of an older version.
  private(set) var isOld = false

  /// The name under which the file is written before it takes its place.
  static let temporary = "format.new"
  /// The most bytes a cluster's name may have.
  static let maxClusterBytes = 256
  /// What a directory may hold without being somebody else's.
  private static let harmless: Set<String> = [
    StorePaths.lock, temporary, StorePaths.disks, StorePaths.disks + StorePaths.temporarySuffix,
    "lost+found",
  ]
  private static let title = "holdfast chunks "
  private static let version = 3
  /// The oldest one that is read; it is written anew before anything else is.
  private static let oldVersion = 2

  /// Reads whose data it is; on an empty directory draws a number and writes it down.
  ///
  /// - Throws: `preconditionFailed` when the directory is not empty and none of ours, or of a newer
  ///   format; `dataLoss` when its format file is damaged, or gone though there are segments.
  static func open(
    on disk: any Disk, drawNode: () -> NodeID, drawDisk: () -> UInt64
  ) async throws(StoreError) -> DataDirectory {
    if var known = try await read(on: disk) {
      if known.isOld { try await known.upgrade(on: disk) }
      known.isOld = false
      return known
    }
    let fresh = DataDirectory(node: drawNode(), disk: drawDisk(), cluster: "")
    try await fresh.write(on: disk)
    return fresh
  }

  /// Reads whose data it is; nil for an empty directory.
  ///
  /// - Throws: what `open` throws.
  static func read(on disk: any Disk) async throws(StoreError) -> DataDirectory? {
    let names = try await disk.list("")
    guard names.contains(StorePaths.format) else {
      if names.contains(StorePaths.segments) {
        throw StoreError(.dataLoss, "the data directory has segments, but its format file is gone")
      }
      if let foreign = names.first(where: { !harmless.contains($0) }) {
        throw StoreError(
          .preconditionFailed,
          "the data directory has no format file but holds '\(foreign)': "
            + "it is no disk of a node; give one, or an empty directory for a new one")
      }
      return nil
    }
    let file = try await disk.read(StorePaths.format, at: 0, length: 4_096)
    return try DataDirectory(parsing: String(buffer: file.bytes))
  }

  /// Writes the format file; durable when it returns.
  func write(on disk: any Disk) async throws(StoreError) {
    let bytes = Array(text.utf8)
    try await disk.removeIfThere(DataDirectory.temporary)
    try await disk.publish(
      DiskBuffer(copying: bytes), bytes: bytes.count, through: DataDirectory.temporary,
      as: StorePaths.format)
    try await disk.sync(directory: "")
  }

  /// Writes the format file of this version; on a full disk with room of the reserve, which is made whole again once
  /// there is room.
  private func upgrade(on disk: any Disk) async throws(StoreError) {
    do throws(StoreError) {
      try await write(on: disk)
    } catch {
      guard error.code == .resourceExhausted else { throw error }
      let reserve = try await disk.openForWriting(StorePaths.reserve)
      let size = try await reserve.size().bytes
      try await reserve.truncate(to: max(size - 2 * DiskBuffer.alignment, 0))
      await reserve.close()
      try await write(on: disk)
    }
  }

  /// The file's text.
  var text: String {
    let lines =
      "\(DataDirectory.title)\(DataDirectory.version)\nnode \(node)\n"
      + "disk \(NodeID(disk))\ncluster \(cluster)\n"
    return lines + "checksum \(DataDirectory.checksum(of: lines))\n"
  }

  /// Describes a directory.
  init(node: NodeID, disk: UInt64, cluster: String) {
    self.node = node
    self.disk = disk
    self.cluster = cluster
  }

  /// Reads the file's text.
  init(parsing text: String) throws(StoreError) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    // Whoever wrote it, in whichever format: what doesn't fit its own checksum says nothing.
    let sum = lines.dropLast().last.flatMap { DataDirectory.value(of: "checksum", in: $0) }
    let body = lines.dropLast(2).joined(separator: "\n") + "\n"
    let isCut = text.utf8.allSatisfy { $0 == 0 } || DataDirectory.title.hasPrefix(text)
    guard !isCut, sum.map({ $0 == DataDirectory.checksum(of: body) }) ?? true else {
      throw StoreError(.dataLoss, "the data directory's format file is damaged")
    }
    guard let first = lines.first, first.hasPrefix(DataDirectory.title) else {
      throw StoreError(.preconditionFailed, "the format file is not Holdfast's")
    }
    let version = Int(first.dropFirst(DataDirectory.title.count))
    if let version, version > DataDirectory.version {
      throw StoreError(
        .preconditionFailed,
        "the data directory has format \(version), this program knows up to "
          + "\(DataDirectory.version): use a newer program")
    }
    if version == 1 {
      throw StoreError(
        .preconditionFailed,
        "the data directory has format 1 (a file for each chunk), which only earlier programs read: "
          + "start with an empty directory and store the files anew")
    }
    guard
      let version, (DataDirectory.oldVersion...DataDirectory.version).contains(version),
      lines.count == 6, lines[5].isEmpty,
      let node = DataDirectory.value(of: "node", in: lines[1]),
      let number = UInt64(node, radix: 16), number != 0,
      let disk = DataDirectory.value(of: "disk", in: lines[2]),
      let diskNumber = UInt64(disk, radix: 16), diskNumber != 0,
      let cluster = DataDirectory.value(of: "cluster", in: lines[3]), sum != nil
    else {
      throw StoreError(.dataLoss, "the data directory's format file is damaged")
    }
    self.init(node: NodeID(number), disk: diskNumber, cluster: String(cluster))
    isOld = version < DataDirectory.version
  }

  /// Checks a cluster's name.
  static func check(cluster: String) throws(StoreError) {
    guard
      (1...maxClusterBytes).contains(cluster.utf8.count),
      cluster.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    else {
      throw StoreError(
        .invalidArgument,
        "a cluster's name has 1 to \(maxClusterBytes) printable ASCII characters, no spaces")
    }
  }

  /// What follows a word and a space.
  private static func value(of word: String, in line: Substring) -> Substring? {
    line.hasPrefix(word + " ") ? line.dropFirst(word.count + 1) : nil
  }

  /// The checksum of these lines in hexadecimal.
  static func checksum(of lines: String) -> String {
    let digits = String(CRC32C.checksum(of: Array(lines.utf8)), radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}
