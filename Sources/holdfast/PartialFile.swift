import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A file in the making beside its target: it gets the target's name when it is whole, and until then
/// no name at all, so that nothing half-written is left however the process ends.
///
/// Where the file system can't make nameless files, it has a hidden name that is removed on failure. A
/// file that it replaces leaves it its mode and, where the system allows that, its owner.
final class PartialFile: Sendable {
  /// Open for writing.
  let descriptor: Int32
  private let target: String
  private let unique: UInt64
  /// The name it has before it is whole; nil while it has none.
  private let hiddenName: Mutex<String?>

  /// Begins a file that will stand at `target`.
  ///
  /// `unique` tells this file from others in the making.
  ///
  /// - Throws: `CommandFailure`: the directory isn't there or can't be written, `target` is a directory, a
  ///   device, a pipe or a socket, which must not be replaced.
  init(target: String, unique: UInt64) throws {
    guard !LocalFile.isDirectory(target) else {
      throw CommandFailure(.cannotCreate, "'\(target)' is a directory; name a file in it")
    }
    guard LocalFile.kind(of: target, followingLinks: false) != .special else {
      throw CommandFailure(.cannotCreate, "'\(target)' is no regular file; it is not replaced")
    }
    self.target = target
    self.unique = unique
    let folder = Self.folder(of: target)
    #if canImport(Glibc)
      // The flag's own bit; the directory's bit belongs to it and differs between machines.
      let nameless = 0o20_000_000 | O_DIRECTORY
      let anonymous = open(folder, O_WRONLY | O_CLOEXEC | nameless, 0o666)
    #else
      let anonymous: Int32 = -1
    #endif
    if anonymous >= 0 {
      descriptor = anonymous
      hiddenName = Mutex(nil)
      Self.keepRights(of: target, on: descriptor)
      return
    }
    let name = Self.hiddenName(in: folder, unique: unique)
    descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      let code = errno
      hiddenName = Mutex(nil)
      throw code == ENOENT
        ? CommandFailure(.cannotCreate, "'\(folder)' is no directory; make it first")
        : CommandFailure.system(code, "'\(target)'")
    }
    hiddenName = Mutex(name)
    Self.keepRights(of: target, on: descriptor)
  }

  /// The file is whole: gives it the target's name, replacing what stood there.
  ///
  /// - Throws: `CommandFailure`.
  func commit() throws {
    try hiddenName.withLock { hidden in
      if hidden == nil {
        let name = Self.hiddenName(in: Self.folder(of: target), unique: unique)
        guard
          linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0
        else { throw CommandFailure.system(errno, "'\(target)'") }
        hidden = name
      }
      guard let name = hidden, rename(name, target) == 0 else {
        throw CommandFailure.system(errno, "'\(target)'")
      }
      hidden = nil
    }
  }

  deinit {
    hiddenName.withLock { name in
      if let name { unlink(name) }
    }
    if descriptor >= 0 { close(descriptor) }
  }

  /// Gives an open file the owner and the mode of the regular file at `target`, when there is one. Rights
  /// for a group that it can't have are those of everybody else; the set-user-ID bit and its like go, as
  /// they do when a file is written to.
  private static func keepRights(of target: String, on descriptor: Int32) {
    var old = stat()
    guard lstat(target, &old) == 0, old.st_mode & S_IFMT == S_IFREG else { return }
    var mode = old.st_mode & 0o777
    if fchown(descriptor, old.st_uid, old.st_gid) != 0,
      fchown(descriptor, uid_t.max, old.st_gid) != 0
    {
      mode = mode & 0o707 | (mode & 0o007) << 3
    }
    // Where a file system has no modes there is none to keep.
    _ = fchmod(descriptor, mode)
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func hiddenName(in folder: String, unique: UInt64) -> String {
    "\(folder)/.holdfast-\(String(unique, radix: 36)).partial"
  }
}
