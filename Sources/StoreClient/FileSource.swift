import Dispatch
public import NIOCore
import StoreModel

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// The bytes of an open file descriptor as the source of an upload.
///
/// Reads block, so they are done on a queue of their own and never on the threads that run tasks. The
/// descriptor stays the caller's.
public struct FileSource: AsyncSequence, Sendable {
  /// What it yields.
  public typealias Element = ByteBuffer

  /// Bytes read at a time.
  private static let readBytes = 1 << 20

  private let descriptor: Int32
  private let expectedBytes: UInt64?
  private let label: String

  /// Reads `descriptor` from where it stands to its end.
  ///
  /// - Parameters:
  ///   - descriptor: open for reading: a file, a pipe or a terminal.
  ///   - expectedBytes: the file's size when it was opened; reading another number of bytes throws,
  ///     as the file was changed meanwhile. nil for a stream.
  ///   - label: the file's name for errors.
  public init(descriptor: Int32, expectedBytes: UInt64?, label: String) {
    self.descriptor = descriptor
    self.expectedBytes = expectedBytes
    self.label = label
  }

  /// Reads buffer by buffer.
  public struct AsyncIterator: AsyncIteratorProtocol {
    let source: FileSource
    var bytesRead: UInt64 = 0
    var ended = false

    /// The next bytes; nil at the end.
    ///
    /// - Throws: `StoreError`: `internal` when the system can't read, `aborted` when the file's size isn't
    ///   what it was.
    public mutating func next() async throws -> ByteBuffer? {
      guard !ended else { return nil }
      let source = source
      let buffer = try await FileQueue.run { try source.readSome() }
      bytesRead += UInt64(buffer.readableBytes)
      if buffer.readableBytes == 0 { ended = true }
      if let expected = source.expectedBytes,
        bytesRead > expected || (ended && bytesRead < expected)
      {
        throw StoreError(
          .aborted, "'\(source.label)' changed while it was read; store it again when it is quiet")
      }
      return ended ? nil : buffer
    }
  }

  /// Goes on where the descriptor stands.
  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(source: self)
  }

  /// Reads until the buffer is full or the file ends, so that a pipe's small writes make large buffers.
  private func readSome() throws(StoreError) -> ByteBuffer {
    let wanted = Swift.min(
      Self.readBytes, expectedBytes.map { Int(clamping: $0) + 1 } ?? Self.readBytes)
    var buffer = ByteBufferAllocator().buffer(capacity: wanted)
    var failure: Int32 = 0
    while buffer.readableBytes < wanted {
      let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 0) { space in
        let count = read(descriptor, space.baseAddress, Swift.min(space.count, wanted))
        if count < 0 { failure = errno }
        return Swift.max(0, count)
      }
      if failure == EINTR {
        failure = 0
        continue
      }
      if count == 0 { break }
    }
    guard failure == 0 else {
      throw StoreError(
        .internal, "'\(label)' can't be read: \(String(cString: strerror(failure)))")
    }
    return buffer
  }
}

/// Where blocking file work is done: threads apart from those that run tasks.
package enum FileQueue {
  private static let queue = DispatchQueue(label: "holdfast.files", attributes: .concurrent)

  /// Runs `work` there and waits without holding a task's thread.
  package static func run<Result: Sendable>(
    _ work: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      queue.async {
        continuation.resume(with: Swift.Result { try work() })
      }
    }
  }
}
