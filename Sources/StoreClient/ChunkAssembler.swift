import NIOCore
import Schema

/// The bytes of one chunk on their way to nodes, kept until they are acknowledged.
struct OutgoingChunk: Sendable {
  /// Its place in the file, from 0.
  var index: UInt32
  /// Its bytes, cut into what goes into one message each; never empty.
  var pieces: [Body]
  /// Bytes in all pieces.
  var length: Int
}

/// Cuts a stream of buffers into chunks and their pieces, without copying large buffers.
///
/// Every chunk but the last has `chunkBytes`, every piece but a chunk's last `pieceBytes`. Small
/// buffers are gathered into larger ones: a source that yields single bytes costs no more memory than
/// one that yields megabytes.
struct ChunkAssembler {
  /// Below this many bytes a buffer is copied to the end of the one before.
  static let smallBufferBytes = 16 << 10

  private let chunkBytes: Int
  private let pieceBytes: Int
  private let allocator = ByteBufferAllocator()
  private var nextIndex: UInt32 = 0
  private var pieces: [Body] = []
  private var length = 0
  private var piece = Body()
  private var gathered = ByteBuffer()

  /// Cuts into chunks of `chunkBytes`, at least 1, and pieces of `pieceBytes`, at least 1.
  init(chunkBytes: Int, pieceBytes: Int) {
    precondition(chunkBytes > 0 && pieceBytes > 0, "chunks and pieces have at least one byte")
    self.chunkBytes = chunkBytes
    self.pieceBytes = pieceBytes
  }

  /// The source yielded `buffer`: returns the chunks that are full now. A chunk that could be the last
  /// is full too.
  mutating func append(_ buffer: ByteBuffer) -> [OutgoingChunk] {
    var rest = buffer
    var full: [OutgoingChunk] = []
    while rest.readableBytes > 0 {
      let room = min(chunkBytes - length, pieceBytes - piece.count - gathered.readableBytes)
      let count = min(room, rest.readableBytes)
      guard var slice = rest.readSlice(length: count) else { break }
      if count < Self.smallBufferBytes {
        if gathered.capacity == 0 { gathered = allocator.buffer(capacity: Self.smallBufferBytes) }
        gathered.writeBuffer(&slice)
      } else {
        flushGathered()
        piece.append(slice)
      }
      length += count
      if piece.count + gathered.readableBytes == pieceBytes { endPiece() }
      if length == chunkBytes { full.append(endChunk()) }
    }
    return full
  }

  /// The source ended: returns the last chunk; nil when all bytes were in chunks before.
  mutating func finish() -> OutgoingChunk? {
    length > 0 ? endChunk() : nil
  }

  private mutating func flushGathered() {
    piece.append(gathered)
    gathered = ByteBuffer()
  }

  private mutating func endPiece() {
    flushGathered()
    if piece.count > 0 { pieces.append(piece) }
    piece = Body()
  }

  private mutating func endChunk() -> OutgoingChunk {
    endPiece()
    let chunk = OutgoingChunk(index: nextIndex, pieces: pieces, length: length)
    nextIndex += 1
    pieces = []
    length = 0
    return chunk
  }
}
