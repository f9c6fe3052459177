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
    switch try OpenDescriptor.place(of: path) {
    case .descriptor(let number):
      return .through(try OpenTarget(number, label: path))
    case .path(let place):
      guard LocalFile.kind(of: place) != .special else {
        return .through(try await FileQueue.run { try OpenTarget(place) })
      }
      return .whole(try PartialFile(target: place, unique: unique))
    }
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

  /// Another descriptor for what is open as `number` in this process: writing goes on where that stands,
  /// even in a file.
  ///
  /// - Throws: `CommandFailure`: nothing is, or it can't be written.
  init(_ number: Int32, label: String) throws {
    guard OpenDescriptor.isWritable(number) else {
      throw CommandFailure.system(EBADF, "'\(label)'")
    }
    let opened = fcntl(number, F_DUPFD_CLOEXEC, 0)
    guard opened >= 0 else { throw CommandFailure.system(errno, "'\(label)'") }
    descriptor = opened
  }

  deinit {
    close(descriptor)
  }
}
