internal import NIOCore
internal import Synchronization

/// How much of a socket is read at once: what is left of a body that is coming in, as far as reads of that
/// size are filled, and little otherwise.
///
/// Small frames are work, which a connection does to the end while others wait, and what waits for its
/// reader keeps the buffer that it was read into: both are bounded by the size of a read.
final class ReadSize: RecvByteBufferAllocator {
  /// Bytes of a read of anything but a body.
  static let small = 4 << 10
  /// The most bytes of a read.
  static let largest = 1 << 20
  /// The most bytes of the first read of a body.
  static let first = 256 << 10

  private let expected = Atomic(0)
  /// The most bytes of a read of a body now: as much as comes at once.
  private let most = Atomic(ReadSize.first)

  /// Says how many bytes of a body are sure to follow.
  func expect(_ bytes: Int) {
    expected.store(bytes, ordering: .relaxed)
  }

  private var wanted: Int {
    let bytes = min(expected.load(ordering: .relaxed) + Self.small, most.load(ordering: .relaxed))
    // Buffers have powers of two: the one below, so that little is read beyond the body.
    return 1 << (Int.bitWidth - 1 - bytes.leadingZeroBitCount)
  }

  /// A new buffer.
  func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
    allocator.buffer(capacity: wanted)
  }

  /// Nil: no buffer is used again. It would be read into whole, however large it once had to be, and stay as
  /// large as that for as long as the connection lives.
  func nextBufferSize() -> Int? { nil }

  /// Learns how much comes at once. Always says that the next buffer may be larger: so none is used again.
  func record(actualReadBytes: Int) -> Bool {
    let size = wanted
    if size > Self.small {
      let now = most.load(ordering: .relaxed)
      if actualReadBytes >= size {
        most.store(min(2 * now, Self.largest), ordering: .relaxed)
      } else if actualReadBytes < size / 2 {
        most.store(max(now / 2, 2 * Self.small), ordering: .relaxed)
      }
    }
    return true
  }
}
