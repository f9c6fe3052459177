import StoreModel

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Holds a data directory for one process, until it is released or the process ends.
final class DirectoryLock: Sendable {
  private let descriptor: Int32

  /// Takes the lock.
  ///
  /// - Throws: `StoreError.preconditionFailed` when another holds it, `internal` when there can be none.
  init(directory: String) throws(StoreError) {
    let path = directory + "/lock"
    let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard opened >= 0 else {
      throw StoreError(.internal, "can't open \(path): \(String(cString: strerror(errno)))")
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
    descriptor = opened
  }

  deinit {
    close(descriptor)
  }
}
