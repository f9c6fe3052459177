import StoreModel

/// The file `disks`: which disks the node had when it started last, so that one that is not there is
/// noticed, and an empty directory is never taken for it. On each of them.
///
/// ```
/// holdfast disks 1
/// 0123456789abcdef /srv/disk2/holdfast
/// fedcba9876543210 /srv/disk1/holdfast
/// checksum 89abcdef
/// ```
///
/// A directory that has the file but no format file was about to become a disk when the power went.
struct DiskList: Sendable, Hashable {
  /// Where each disk was, by its number, for people.
  var paths: [UInt64: String]

  private static let title = "holdfast disks 1"
  private static let maxBytes = 1 << 20

  /// The file's text.
  var text: String {
    CheckedText.text(
      title: DiskList.title,
      lines: paths.sorted { $0.key < $1.key }.map { number, path in
        "\(NodeID(number)) " + String(path.map { $0.isNewline ? " " : $0 })
      })
  }

  /// Lists disks.
  init(paths: [UInt64: String]) {
    self.paths = paths
  }

  /// Reads the file's text; nil when it is damaged.
  init?(parsing text: String) {
    guard let lines = CheckedText.lines(of: text, title: DiskList.title) else { return nil }
    paths = [:]
    for line in lines {
      guard let space = line.firstIndex(of: " "), let number = UInt64(line[..<space], radix: 16)
      else { return nil }
      paths[number] = String(line[line.index(after: space)...])
    }
  }

  /// Reads the file.
  ///
  /// - Returns: nil when there is none or it is damaged.
  static func read(on disk: any Disk) async throws(StoreError) -> DiskList? {
    try await CheckedText.read(StorePaths.disks, on: disk, maxBytes: maxBytes)
      .flatMap { DiskList(parsing: $0) }
  }

  /// Replaces the file; durable when it returns.
  func write(on disk: any Disk) async throws(StoreError) {
    try await CheckedText.write(text, to: StorePaths.disks, on: disk)
  }
}
