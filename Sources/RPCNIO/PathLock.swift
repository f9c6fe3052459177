internal import RPC

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The right to serve at a Unix socket's path, which one server has at a time: a lock on a file beside it.
///
/// Between two servers that begin at once the socket itself can't decide: one that is bound and doesn't
/// listen yet looks like one whose server died. The system frees the lock when its holder dies, however.
struct PathLock: ~Copyable {
  /// What the file's name has behind the socket's.
  private static let suffix = ".lock"
  /// How often the file is made anew as its last holder has just removed it.
  private static let maxAttempts = 100

  private let path: String
  private let file: CInt

  /// Takes the lock of the socket at `socket`.
  ///
  /// - Throws: the error's number, `EADDRINUSE` when another server has it.
  init(of socket: String) throws(SystemFailure) {
    let path = socket + Self.suffix
    for _ in 0..<Self.maxAttempts {
      let file = open(
        path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR)
      guard file >= 0 else { throw SystemFailure(code: errno) }
      guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
        let code = errno
        close(file)
        throw SystemFailure(code: code == EWOULDBLOCK ? EADDRINUSE : code)
      }
      // A lock on a file that isn't there any more keeps nobody away.
      if Self.isSame(file, path) {
        self.path = path
        self.file = file
        return
      }
      close(file)
    }
    throw SystemFailure(code: EADDRINUSE)
  }

  /// Removes the file, unless somebody keeps something in it, and lets others have the lock.
  consuming func release() {
    var status = stat()
    if fstat(file, &status) == 0, status.st_size == 0, Self.isSame(file, path) { unlink(path) }
    close(file)
  }

  /// Whether the open file is the one at `path`.
  private static func isSame(_ file: CInt, _ path: String) -> Bool {
    var own = stat()
    var there = stat()
    return fstat(file, &own) == 0 && lstat(path, &there) == 0 && own.st_dev == there.st_dev
      && own.st_ino == there.st_ino
  }
}

/// What the system says why not.
struct SystemFailure: Error {
  let code: CInt
}
