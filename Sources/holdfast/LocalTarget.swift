import StoreClient

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Where one file that is read goes on this machine, as `cp` and `cat >` have it.
///
/// A regular file is replaced when all bytes are there, and a link's target rather than the link; what
/// isn't a regular file, such as a device or a pipe, or is open in this process, such as `/dev/stdout`,
/// stays and gets the bytes as they come.
enum LocalTarget: Sendable {
  /// A file that appears when it is whole.
  case whole(PartialFile)
  /// What takes the bytes as they come.
  case through(OpenTarget)

  /// Opens what stands at `path`, or begins a file there. A pipe without a reader is waited for.
  ///
  /// `unique` tells a new file from others in the making.
  ///
  /// - Throws: `CommandFailure`: `path` is a directory or can't be written.
  static func open(_ path: String, unique: UInt64) async throws -> LocalTarget {
    var place = path
    for _ in 0..<maxLinks {
      if let number = ownDescriptor(place) {
        return .through(try OpenTarget(number, label: path))
      }
      guard LocalFile.kind(of: place) != .special else {
        return .through(try await FileQueue.run { [place] in try OpenTarget(place) })
      }
      guard LocalFile.kind(of: place, followingLinks: false) == .link else {
        return .whole(try PartialFile(target: place, unique: unique))
      }
      place = try linked(place)
    }
    throw CommandFailure.system(ELOOP, "'\(path)'")
  }

  /// Open for writing.
  var descriptor: Int32 {
    switch self {
    case .whole(let file): file.descriptor
    case .through(let target): target.descriptor
    }
  }

  /// All bytes are written.
  ///
  /// - Throws: `CommandFailure`.
  func commit() throws {
    if case .whole(let file) = self { try file.commit() }
  }

  /// How many links may lead to another: the system's own limit.
  private static let maxLinks = 40

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

  /// The open descriptor of this process that `path` stands for, as what `/dev/stdout` leads to does:
  /// writing goes on where that stands, even in a file.
  private static func ownDescriptor(_ path: String) -> Int32? {
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

/// A device, a pipe or a terminal that is open for writing; closed when the last reference goes.
final class OpenTarget: Sendable {
  /// Its descriptor.
  let descriptor: Int32

  /// Opens it; blocks while a pipe has no reader.
  ///
  /// - Throws: `CommandFailure`: it can't be written; a socket never can.
  init(_ path: String) throws {
    var opened: Int32
    repeat {
      opened = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY)
    } while opened < 0 && errno == EINTR
    guard opened >= 0 else { throw CommandFailure.system(errno, "'\(path)'") }
    descriptor = opened
  }

  /// Another descriptor for what is open as `number` in this process.
  ///
  /// - Throws: `CommandFailure`: nothing is.
  init(_ number: Int32, label: String) throws {
    let opened = fcntl(number, F_DUPFD_CLOEXEC, 0)
    guard opened >= 0 else { throw CommandFailure.system(errno, "'\(label)'") }
    descriptor = opened
  }

  deinit {
    close(descriptor)
  }
}
