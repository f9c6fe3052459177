import StoreModel

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Holds a data directory for one process, until it is released or the process ends.
final class DirectoryLock: Sendable {
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
    if let slash = directory.lastIndex(where: { $0 != "/" }).flatMap({ end in
      directory[...end].lastIndex(of: "/")
    }), slash != directory.startIndex {
      try makeDirectory(String(directory[..<slash]))
    }
    // Another process may have made it meanwhile.
    guard mkdir(directory, 0o777) == 0 || errno == EEXIST else { throw unusable(directory, errno) }
  }

  /// Takes the lock.
  ///
  /// - Throws: `StoreError.preconditionFailed` when another holds it or there can be none.
  init(directory: String) throws(StoreError) {
    let path = directory + "/lock"
    let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard opened >= 0 else { throw Self.unusable(directory, errno) }
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
    descriptor = opened
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
