import StoreClient

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What is open in this process under a number, and the paths that stand for it, such as `/dev/stdin`.
enum OpenDescriptor {
  /// Sees to it that standard input, output and error are open: where one is closed, the next file or
  /// socket would take its place, and be read or written in its stead.
  ///
  /// What is put there can't be used, so that whoever tries gets the error that the closed one would give:
  /// standard input can't be read, the others can't be written. To be called before anything is opened.
  static func reserveStandardOnes() {
    for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) == -1 {
      let opened = open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY)
      // Nothing may be opened after this: it would stand in for the closed one.
      guard opened == number else { endProcess(ExitStatus.other.rawValue) }
    }
  }

  /// Whether `number` is open and may be read.
  static func isReadable(_ number: Int32) -> Bool {
    access(to: number).map { $0 != O_WRONLY } ?? false
  }

  /// Whether `number` is open and may be written.
  static func isWritable(_ number: Int32) -> Bool {
    access(to: number).map { $0 != O_RDONLY } ?? false
  }

  /// Standard output for bytes that are no lines.
  ///
  /// - Throws: `CommandFailure` when it is closed, which not even a file without bytes may hide.
  static func standardOutput() throws -> FileSink {
    let label = "standard output"
    guard isWritable(STDOUT_FILENO) else { throw CommandFailure.system(EBADF, label) }
    return FileSink(descriptor: STDOUT_FILENO, label: label)
  }

  /// Where a path leads.
  enum Place: Sendable, Equatable {
    /// To what is open in this process under this number.
    case descriptor(Int32)
    /// To what stands there, or to nothing; no link, except of the system's own that lead to no path.
    case path(String)
  }

  /// Follows the links at the end of `path`.
  ///
  /// - Throws: `CommandFailure`: a link can't be read, or they lead in a circle.
  static func place(of path: String) throws -> Place {
    var place = path
    for _ in 0..<maxLinks {
      if let number = number(of: place) { return .descriptor(number) }
      guard LocalFile.kind(of: place, followingLinks: false) == .link else { return .path(place) }
      let next = try linked(place)
      // Such as another process's descriptor, whose link reads `pipe:[4711]`.
      let isOwnOfSystem =
        LocalFile.kind(of: place) == .special
        && LocalFile.kind(of: next, followingLinks: false) == nil
      if isOwnOfSystem { return .path(place) }
      place = next
    }
    throw CommandFailure.system(ELOOP, "'\(path)'")
  }

  /// How many links may lead to another: the system's own limit.
  private static let maxLinks = 40

  /// `O_RDONLY`, `O_WRONLY` or `O_RDWR`; nil when nothing is open.
  private static func access(to number: Int32) -> Int32? {
    let flags = fcntl(number, F_GETFL)
    return flags < 0 ? nil : flags & O_ACCMODE
  }

  /// Where the link at `path` leads; there may be nothing.
  private static func linked(_ path: String) throws -> String {
    var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &bytes, bytes.count)
    guard count > 0, let link = text(bytes[..<count]) else {
      throw CommandFailure.system(count < 0 ? errno : EINVAL, "'\(path)'")
    }
    let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
    return link.hasPrefix("/") ? link : folder + link
  }

  /// The number that `path` itself stands for, as what `/dev/stdout` leads to does.
  private static func number(of path: String) -> Int32? {
    guard let slash = path.lastIndex(of: "/"),
      let number = Int32(path[path.index(after: slash)...]),
      let resolved = realpath(String(path[...slash]), nil)
    else { return nil }
    defer { free(resolved) }
    return ["/proc/\(getpid())/fd", "/dev/fd"].contains(String(cString: resolved)) ? number : nil
  }

  private static func text(_ bytes: ArraySlice<CChar>) -> String? {
    String(validating: bytes.lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
