import StoreModel

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Holds a data directory for one process, until it is released or the process ends.
///
/// The file `lock` tells something beside: that a database was made here, and of which cluster. It gets
/// its name when the database is on disk, until then it is `lock.new`. So a first start that is cut short
/// is begun again, while a directory with a `lock` and without a database has lost it.
final class DirectoryLock: Sendable {
  private static let name = "lock"
  private static let unfinishedName = "lock.new"
  /// The most bytes that are read of a lock: an identity has 32.
  private static let maxBytes = 64

  /// Whether a database was made in the directory before.
  let wasMade: Bool
  /// The cluster whose database it was; empty when the lock doesn't say, being of an earlier program.
  let cluster: String

  private let directory: String
  private let descriptor: Int32

  /// Makes the data directory, and those above it, where there is none.
  ///
  /// - Throws: `StoreError.preconditionFailed` when there can't be one, `resourceExhausted` when the disk is
  ///   full.
  static func makeDirectory(_ directory: String) throws(StoreError) {
    var status = stat()
    if stat(directory, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else { throw unusable(directory, ENOTDIR) }
      return
    }
    var parent = "."
    if let slash = directory.lastIndex(where: { $0 != "/" }).flatMap({ end in
      directory[...end].lastIndex(of: "/")
    }) {
      parent = slash == directory.startIndex ? "/" : String(directory[..<slash])
      try makeDirectory(parent)
    }
    // Another process may have made it meanwhile.
    guard mkdir(directory, 0o777) == 0 || errno == EEXIST else { throw unusable(directory, errno) }
    try sync(parent)
  }

  /// Takes the lock.
  ///
  /// - Throws: `StoreError.preconditionFailed` when another holds it or there can be none.
  init(directory: String) throws(StoreError) {
    self.directory = directory
    // Once more for each process that finishes the directory between our two looks at it.
    for _ in 0..<16 {
      if let made = try Self.take(Self.name, in: directory, isMade: true) {
        (descriptor, wasMade) = (made, true)
        cluster = Self.content(made)
        // Left by who looked for a lock just before there was one; without meaning from now on.
        unlink("\(directory)/\(Self.unfinishedName)")
        return
      }
      guard let new = try Self.take(Self.unfinishedName, in: directory, isMade: false) else {
        break
      }
      // What we hold may have got its last name before we held it.
      if access("\(directory)/\(Self.name)", F_OK) != 0 {
        (descriptor, wasMade, cluster) = (new, false, "")
        return
      }
      close(new)
    }
    throw StoreError(.aborted, "other Directories start on \(directory) at this moment: try again")
  }

  /// The database is on disk: from now on it is missed when it is gone.
  ///
  /// - Throws: `StoreError` when that can't be written down.
  func made(cluster: String) throws(StoreError) {
    let text = Array("\(cluster)\n".utf8)
    guard !wasMade else {
      // Of an earlier program's lock. What it can't be told now, on a full disk, it is at the next start.
      if self.cluster.isEmpty, pwrite(descriptor, text, text.count, 0) == text.count {
        _ = fsync(descriptor)
      }
      return
    }
    guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, text, text.count, 0) == text.count,
      fsync(descriptor) == 0,
      rename("\(directory)/\(Self.unfinishedName)", "\(directory)/\(Self.name)") == 0
    else { throw Self.unusable(directory, errno) }
    try Self.sync(directory)
  }

  /// Opens a lock's file and holds it; nil when there is none that is made.
  private static func take(
    _ name: String, in directory: String, isMade: Bool
  ) throws(StoreError) -> Int32? {
    let path = "\(directory)/\(name)"
    let opened = open(path, O_RDWR | O_CLOEXEC | (isMade ? 0 : O_CREAT), 0o644)
    guard opened >= 0 else {
      if isMade && errno == ENOENT { return nil }
      throw unusable(directory, errno)
    }
    guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
      let reason = errno
      close(opened)
      guard reason == EWOULDBLOCK else {
        throw StoreError(.internal, "can't lock \(path): \(String(cString: strerror(reason)))")
      }
      throw StoreError(
        .preconditionFailed,
        "another Directory is running on \(directory): stop it, or choose another data directory")
    }
    return opened
  }

  /// The first line of a lock.
  private static func content(_ descriptor: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: maxBytes)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    let line = bytes.prefix(max(0, count)).prefix { $0 != UInt8(ascii: "\n") }
    return String(decoding: line, as: UTF8.self)
  }

  /// Makes the names in a directory durable.
  private static func sync(_ directory: String) throws(StoreError) {
    let opened = open(directory, O_RDONLY | O_CLOEXEC)
    guard opened >= 0 else { throw unusable(directory, errno) }
    defer { close(opened) }
    // Where directories can't be synced there is nothing to be done about it.
    guard fsync(opened) == 0 || errno == EINVAL else { throw unusable(directory, errno) }
  }

  private static func unusable(_ directory: String, _ code: Int32) -> StoreError {
    let isFull = code == ENOSPC || code == EDQUOT
    return StoreError(
      isFull ? .resourceExhausted : .preconditionFailed,
      "'\(directory)' can't be the Directory's data directory: \(String(cString: strerror(code)))")
  }

  deinit {
    close(descriptor)
  }
}
