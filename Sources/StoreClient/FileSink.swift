import Dispatch
public import NIOCore
import StoreModel

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// An open file descriptor as the sink of a download.
///
/// Writes block, so they are done on a queue of their own and never on the threads that run tasks. The
/// descriptor stays the caller's.
public struct FileSink: Sendable {
  /// Whoever read the other end of a pipe has gone away.
  public struct Closed: Error, Sendable {}

  private let descriptor: Int32
  private let label: String

  /// Writes to `descriptor` from where it stands.
  ///
  /// - Parameters:
  ///   - descriptor: open for writing: a file, a pipe or a terminal.
  ///   - label: the file's name for errors.
  public init(descriptor: Int32, label: String) {
    self.descriptor = descriptor
    self.label = label
  }

  /// Writes all bytes of the buffer.
  ///
  /// - Throws: `Closed`; `StoreError`: `resourceExhausted` when the disk or a quota is full, `internal`
  ///   when the system can't write.
  public func write(_ buffer: ByteBuffer) async throws {
    try await FileQueue.run { try writeAll(buffer) }
  }

  private func writeAll(_ buffer: ByteBuffer) throws {
    let failure: Int32 = buffer.withUnsafeReadableBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let part = UnsafeRawBufferPointer(rebasing: rest)
        let count = Self.writeSome(descriptor, part)
        if count > 0 {
          rest = rest.dropFirst(count)
        } else if errno != EINTR {
          return errno
        }
      }
      return 0
    }
    switch failure {
    case 0: return
    case EPIPE: throw Closed()
    case ENOSPC, EDQUOT:
      throw StoreError(.resourceExhausted, "'\(label)': \(String(cString: strerror(failure)))")
    default:
      throw StoreError(.internal, "'\(label)': \(String(cString: strerror(failure)))")
    }
  }

  private static func writeSome(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    #if canImport(Glibc)
      Glibc.write(descriptor, bytes.baseAddress, bytes.count)
    #else
      Darwin.write(descriptor, bytes.baseAddress, bytes.count)
    #endif
  }
}
