public import NIOCore

/// Bulk bytes in the pieces in which they arrived or were read: passed on without a copy.
public struct Body: Sendable {
  /// The pieces, in order; none is empty.
  public private(set) var pieces: [ByteBuffer]
  /// Bytes in all pieces.
  public private(set) var count: Int

  /// No bytes.
  @inlinable
  public init() {
    self.init(empty: ())
  }

  @usableFromInline
  init(empty: Void) {
    pieces = []
    count = 0
  }

  /// One piece: the buffer's readable bytes.
  public init(_ buffer: ByteBuffer) {
    self.init(empty: ())
    append(buffer)
  }

  /// One piece: a copy of the bytes.
  public init(_ bytes: some Sequence<UInt8>) {
    self.init(ByteBuffer(bytes: bytes))
  }

  /// Whether there are no bytes.
  public var isEmpty: Bool { count == 0 }

  /// Adds a buffer's readable bytes at the end.
  public mutating func append(_ buffer: ByteBuffer) {
    guard buffer.readableBytes > 0 else { return }
    pieces.append(buffer)
    count += buffer.readableBytes
  }

  /// Adds another body's pieces at the end.
  public mutating func append(_ body: Body) {
    pieces.append(contentsOf: body.pieces)
    count += body.count
  }

  /// The bytes of a range, 0 to `count`, in slices of the pieces.
  public func slice(_ range: Range<Int>) -> Body {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "a slice lies in the body")
    var slice = Body()
    var start = 0
    for piece in pieces {
      let end = start + piece.readableBytes
      let part = range.clamped(to: start..<end)
      if !part.isEmpty,
        let bytes = piece.getSlice(
          at: piece.readerIndex + part.lowerBound - start, length: part.count)
      {
        slice.append(bytes)
      }
      start = end
      if start >= range.upperBound { break }
    }
    return slice
  }

  /// All bytes in one buffer: the only piece as it is, more than one copied together.
  public var contiguous: ByteBuffer {
    guard pieces.count > 1 else { return pieces.first ?? ByteBuffer() }
    var buffer = ByteBufferAllocator().buffer(capacity: count)
    for piece in pieces { buffer.writeImmutableBuffer(piece) }
    return buffer
  }

  /// All bytes as an array: a copy.
  public var bytes: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      copyBytes(to: UnsafeMutableRawBufferPointer(buffer))
      initialized = count
    }
  }

  /// All bytes, one by one, over the pieces where they lie.
  public var readableBytesView: some Sequence<UInt8> {
    pieces.lazy.flatMap(\.readableBytesView)
  }

  /// Copies all bytes to memory of at least `count` bytes.
  @usableFromInline
  func copyBytes(to target: UnsafeMutableRawBufferPointer) {
    precondition(target.count >= count, "the target holds the whole body")
    var offset = 0
    for piece in pieces {
      piece.withUnsafeReadableBytes { bytes in
        UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: bytes)
      }
      offset += piece.readableBytes
    }
  }
}

extension Body: Hashable {
  /// Bodies are equal when their bytes are, whatever their pieces.
  public static func == (first: Body, second: Body) -> Bool {
    guard first.count == second.count else { return false }
    if first.pieces.count == 1, second.pieces.count == 1 {
      return first.pieces[0] == second.pieces[0]
    }
    return first.readableBytesView.elementsEqual(second.readableBytesView)
  }

  /// Hashes the count and up to 64 bytes at either end.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(count)
    guard count > 128 else {
      for byte in readableBytesView { hasher.combine(byte) }
      return
    }
    for part in [0..<64, (count - 64)..<count] {
      for byte in slice(part).readableBytesView { hasher.combine(byte) }
    }
  }
}
