import CDisk
import StoreModel

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The file system's calls with the store's errors. All of them block; paths are the system's.
enum SystemCalls {
  #if os(Linux) && (arch(arm64) || arch(arm))
    /// `O_DIRECT`, which the C library shows to GNU sources alone.
    static let directFlag: Int32 = 0o200000
  #elseif os(Linux)
    /// `O_DIRECT`, which the C library shows to GNU sources alone.
    static let directFlag: Int32 = 0o40000
  #endif

  /// Gives the system what the process has freed and kept for itself, where that can be done.
  static func giveFreeMemoryBack() {
    disk_give_free_memory_back()
  }

  /// Opens a file for writing past the page cache, or through it where that is refused.
  static func openForWriting(_ path: String) throws(StoreError) -> OpenFile {
    let flags = O_RDWR | O_CLOEXEC
    #if os(Linux)
      let direct = retrying { openFile(path, flags | directFlag) }
      if direct >= 0 { return try regularFile(path, direct) }
      guard errno == EINVAL else { throw error("open", path, errno) }
    #endif
    let descriptor = retrying { openFile(path, flags) }
    guard descriptor >= 0 else { throw error("open", path, errno) }
    return try regularFile(path, descriptor)
  }

  /// Makes a file that isn't there yet.
  static func create(_ path: String, direct: Bool) throws(StoreError) -> OpenFile {
    let flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC
    #if os(Linux)
      if direct {
        let descriptor = retrying { openFile(path, flags | directFlag, 0o644) }
        if descriptor >= 0 { return OpenFile(path: path, descriptor: descriptor) }
        guard errno == EINVAL else { throw error("create", path, errno) }
        // The file may have been made before the flag was refused.
        _ = unlink(path)
      }
    #endif
    let descriptor = retrying { openFile(path, flags, 0o644) }
    guard descriptor >= 0 else { throw error("create", path, errno) }
    return OpenFile(path: path, descriptor: descriptor)
  }

  /// Opens a file for reading.
  static func open(_ path: String) throws(StoreError) -> OpenFile {
    let descriptor = retrying { openFile(path, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw error("open", path, errno) }
    return try regularFile(path, descriptor)
  }

  /// Takes over an open descriptor, of a regular file alone.
  private static func regularFile(
    _ path: String, _ descriptor: Int32
  ) throws(StoreError) -> OpenFile {
    let file = OpenFile(path: path, descriptor: descriptor)
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw error("open", path, errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw StoreError(.invalidArgument, "cannot open '\(path)': it is no regular file")
    }
    return file
  }

  /// Opens a file, made where it isn't there, and locks it.
  static func lock(_ path: String) throws(StoreError) -> OpenFile {
    let descriptor = retrying { openFile(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
    guard descriptor >= 0 else { throw error("open", path, errno) }
    let file = try regularFile(path, descriptor)
    guard retrying({ flock(descriptor, LOCK_EX | LOCK_NB) }) == 0 else {
      guard errno == EWOULDBLOCK else { throw error("lock", path, errno) }
      throw StoreError(
        .preconditionFailed, "'\(path)' is locked: another process uses this data directory")
    }
    return file
  }

  /// Gives a file another name.
  static func rename(_ source: String, to target: String) throws(StoreError) {
    guard renameFile(source, target) == 0 else { throw error("rename", source, errno) }
  }

  /// Removes a file.
  static func remove(_ path: String) throws(StoreError) {
    guard unlink(path) == 0 else { throw error("remove", path, errno) }
  }

  /// Makes a directory, unless it is there.
  static func makeDirectory(_ path: String) throws(StoreError) {
    guard mkdir(path, 0o755) != 0 else { return }
    let code = errno
    var status = stat()
    if code == EEXIST, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return }
    throw error("make directory", path, code)
  }

  /// Makes a directory with its parents, each of them durable.
  static func makeDirectories(_ path: String) throws(StoreError) {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return }
    let trimmed = path.last == "/" ? String(path.dropLast()) : path
    let slash = trimmed.lastIndex(of: "/")
    let parent = slash.map { $0 == trimmed.startIndex ? "/" : String(trimmed[..<$0]) } ?? "."
    if parent != trimmed { try makeDirectories(parent) }
    try makeDirectory(trimmed)
    try sync(directory: parent)
  }

  /// The names in a directory, in no order.
  static func list(_ path: String) throws(StoreError) -> [String] {
    guard let directory = opendir(path) else { throw error("list", path, errno) }
    defer { closedir(directory) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(directory) else {
        guard errno == 0 else { throw error("list", path, errno) }
        return names
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
  }

  /// Makes a directory's names durable.
  static func sync(directory: String) throws(StoreError) {
    let descriptor = retrying { openFile(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw error("open", directory, errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw error("sync", directory, errno) }
  }

  /// The room on the file system, as a process without privileges has it.
  static func space(_ path: String) throws(StoreError) -> DiskSpace {
    var status = statvfs()
    guard retrying({ statvfs(path, &status) }) == 0 else { throw error("measure", path, errno) }
    var directory = stat()
    guard stat(path, &directory) == 0 else { throw error("measure", path, errno) }
    let unit = UInt64(status.f_frsize)
    return DiskSpace(
      capacityBytes: UInt64(status.f_blocks) * unit, freeBytes: UInt64(status.f_bavail) * unit,
      fileSystem: UInt64(directory.st_dev))
  }

  /// The store's error for one of the system's.
  static func error(_ verb: String, _ path: String, _ code: Int32) -> StoreError {
    let kind: StoreError.Code =
      switch code {
      case ENOENT: .notFound
      case EEXIST: .alreadyExists
      case ENOSPC, EDQUOT: .resourceExhausted
      case EMFILE, ENFILE, ENOMEM: .unavailable
      default: .internal
      }
    let fact = "cannot \(verb) '\(path)': \(String(cString: strerror(code)))"
    return StoreError(kind, kind == .resourceExhausted ? "the disk is full: \(fact)" : fact)
  }

  /// Repeats a call that a signal interrupted.
  static func retrying(_ call: () -> Int32) -> Int32 {
    while true {
      let result = call()
      if result >= 0 || errno != EINTR { return result }
    }
  }
}

/// `open` under another name, as the method of that name hides the system's, and for whatever may stand there: where
/// it is no regular file, a pipe that nobody writes into, say, it doesn't wait.
private func openFile(_ path: String, _ flags: Int32, _ mode: mode_t = 0) -> Int32 {
  open(path, flags | O_NONBLOCK, mode)
}

/// `rename` under another name: the method of that name hides the system's.
private func renameFile(_ source: String, _ target: String) -> Int32 {
  rename(source, target)
}
