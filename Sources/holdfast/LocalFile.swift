import StoreClient

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A file of this machine that is open for reading; closed when the last reference goes.
final class LocalFile: Sendable {
  /// Its descriptor.
  let descriptor: Int32
  /// Bytes when it was opened; nil for what has no size, such as a pipe.
  let bytes: UInt64?

  /// Opens a file, where a named pipe waits for its writer as `cat` does: without one it would be read
  /// as an empty file. So would a closed standard input under the name `/dev/stdin`, which opens anew what
  /// holds its place.
  ///
  /// - Throws: `CommandFailure`, as for `init`.
  static func waitingForWriter(_ path: String) async throws -> LocalFile {
    if case .descriptor(let number)? = try? OpenDescriptor.place(of: path),
      !OpenDescriptor.isReadable(number)
    {
      throw CommandFailure.system(EBADF, "'\(path)'")
    }
    return try await FileQueue.run { try LocalFile(reading: path, waitsForWriter: true) }
  }

  /// Opens a file.
  ///
  /// With `waitsForWriter` it blocks at a named pipe until that has a writer.
  ///
  /// - Throws: `CommandFailure`: there is none, or it is a directory, or it may not be read.
  init(reading path: String, waitsForWriter: Bool = false) throws {
    let descriptor = Self.open(path, O_RDONLY | O_CLOEXEC | (waitsForWriter ? 0 : O_NONBLOCK))
    guard descriptor >= 0 else { throw CommandFailure.system(errno, "'\(path)'") }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let failure = CommandFailure.system(errno, "'\(path)'")
      close(descriptor)
      throw failure
    }
    guard status.st_mode & S_IFMT != S_IFDIR else {
      close(descriptor)
      throw CommandFailure(
        .usage, "'\(path)' is a directory; store all its files with 'holdfast put -r'")
    }
    _ = fcntl(descriptor, F_SETFL, 0)
    self.descriptor = descriptor
    bytes = status.st_mode & S_IFMT == S_IFREG ? UInt64(status.st_size) : nil
  }

  deinit {
    close(descriptor)
  }

  /// Opens a file, again when a signal broke that off.
  private static func open(_ path: String, _ flags: Int32) -> Int32 {
    while true {
      #if canImport(Glibc)
        let descriptor = Glibc.open(path, flags)
      #else
        let descriptor = Darwin.open(path, flags)
      #endif
      if descriptor >= 0 || errno != EINTR { return descriptor }
    }
  }

  /// The last part of a path, such as `b` of `a/b`; nil when there is none, as in `/` or `..`.
  static func lastPart(of path: String) -> String? {
    guard let part = path.split(separator: "/").last, part != ".", part != ".." else { return nil }
    return String(part)
  }

  /// Whether `path` is a directory, links followed.
  static func isDirectory(_ path: String) -> Bool {
    kind(of: path) == .directory
  }

  /// What stands at a path.
  enum Kind: Sendable, Equatable {
    case regular
    case directory
    case link
    /// A device, a pipe or a socket.
    case special
  }

  /// What stands at `path`; nil: nothing, or it can't be seen.
  static func kind(of path: String, followingLinks: Bool = true) -> Kind? {
    var status = stat()
    guard (followingLinks ? stat(path, &status) : lstat(path, &status)) == 0 else { return nil }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .regular
    case S_IFDIR: return .directory
    case S_IFLNK: return .link
    default: return .special
    }
  }
}
