/// The immutable content of a file: its size, checksum and ordered chunks.
public struct Manifest: Sendable, Hashable {
  /// One chunk of the file.
  public struct Chunk: Sendable, Hashable {
    /// Its name, and so its placement group.
    public var id: ChunkID
    /// Bytes; at least 1.
    public var length: UInt32
    /// CRC-32C of its bytes.
    public var checksum: UInt32

    /// Makes a chunk's line in a manifest.
    public init(id: ChunkID, length: UInt32, checksum: UInt32) {
      self.id = id
      self.length = length
      self.checksum = checksum
    }
  }

  /// Bytes of the whole file.
  public var size: UInt64
  /// CRC-32C of the whole file's bytes; 0 for an empty one.
  public var checksum: UInt32
  /// The redundancy its chunks were written with.
  public var storageClass: StorageClass
  /// Its chunks in order; none for an empty file.
  public var chunks: [Chunk]

  /// Makes a manifest; `check` tells whether it is consistent.
  public init(size: UInt64, checksum: UInt32, storageClass: StorageClass, chunks: [Chunk]) {
    self.size = size
    self.checksum = checksum
    self.storageClass = storageClass
    self.chunks = chunks
  }

  /// Checks that the chunks are those of `upload`, in order, and make up the size.
  ///
  /// - Throws: `StoreError.invalidArgument` that says what is wrong.
  public func check(upload: UploadID) throws(StoreError) {
    var total: UInt64 = 0
    for (index, chunk) in chunks.enumerated() {
      guard chunk.id.upload == upload, chunk.id.index == UInt32(exactly: index) else {
        throw StoreError(
          .invalidArgument,
          "chunk \(chunk.id) does not belong at place \(index) of upload \(upload)")
      }
      guard chunk.length > 0 else {
        throw StoreError(.invalidArgument, "chunk \(chunk.id) is empty")
      }
      total += UInt64(chunk.length)
    }
    guard total == size else {
      throw StoreError(
        .invalidArgument, "the chunks have \(total) bytes together, the manifest says \(size)")
    }
  }
}
