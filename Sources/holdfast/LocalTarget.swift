import StoreClient

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Where one file that is read goes on this machine, as `cp` and `cat >` have it.
///
/// A regular file is replaced when all bytes are there, and a link's target rather than the link; what
/// isn't a regular file, such as a device or a pipe, stays and gets the bytes as they come.
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
    guard LocalFile.kind(of: path) == .special else {
      return .whole(try PartialFile(target: try resolved(path), unique: unique))
    }
    return .through(try await FileQueue.run { try OpenTarget(path) })
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

  /// The path behind the links at `path`'s end; there may be nothing at it.
  private static func resolved(_ path: String) throws -> String {
    var path = path
    for _ in 0..<maxLinks {
      guard LocalFile.kind(of: path, followingLinks: false) == .link else { return path }
      var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
      let count = readlink(path, &bytes, bytes.count)
      guard count > 0, let link = Self.text(bytes[..<count]) else {
        throw CommandFailure.system(count < 0 ? errno : EINVAL, "'\(path)'")
      }
      let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
      path = link.hasPrefix("/") ? link : folder + link
    }
    throw CommandFailure.system(ELOOP, "'\(path)'")
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

  deinit {
    close(descriptor)
  }
}
