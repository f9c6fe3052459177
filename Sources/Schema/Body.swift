public import NIOCore

/// Bulk bytes in the pieces in which they arrived or were read: passed on without a copy.
public struct Body: Sendable {
  /// The pieces, in order; none is empty.
  public private(set) var pieces: [ByteBuffer]
  /// Bytes in all pieces.
  public private(set) var count: Int

  /// No bytes.
  public init() {
    pieces = []
    count = 0
  }

  /// One piece: the buffer's readable bytes.
  public init(_ buffer: ByteBuffer) {
    self.init()
    append(buffer)
  }

  /// Adds a buffer's readable bytes at the end.
  public mutating func append(_ buffer: ByteBuffer) {
    guard buffer.readableBytes > 0 else { return }
    pieces.append(buffer)
    count += buffer.readableBytes
  }
}
