import StoreModel

/// Which bytes of which chunks make up a range of a file, in order.
struct ReadPlan: Sendable, Equatable {
  /// The bytes to read of one chunk.
  struct Part: Sendable, Equatable {
    /// The chunk with its length and checksum.
    var chunk: Manifest.Chunk
    /// From where in the chunk.
    var offset: UInt32
    /// How many; at least 1.
    var length: UInt32

    /// Whether it is the whole chunk, so that its checksum can be compared to the manifest's.
    var isWhole: Bool { offset == 0 && length == chunk.length }
  }

  /// In the file's order; none for no bytes.
  let parts: [Part]
  /// Bytes of all parts.
  let length: UInt64

  /// Plans to read the whole file or the bytes in `range`, as far as they exist.
  ///
  /// - Throws: `StoreError.invalidArgument` when the range begins behind the file's end.
  init(manifest: Manifest, range: Range<UInt64>?) throws(StoreError) {
    let wanted = range ?? 0..<manifest.size
    guard wanted.lowerBound < manifest.size || range == nil else {
      throw StoreError(
        .invalidArgument,
        "the range begins at byte \(wanted.lowerBound), but the file has \(manifest.size) bytes")
    }
    let clipped = wanted.clamped(to: 0..<manifest.size)
    var parts: [Part] = []
    var start: UInt64 = 0
    for chunk in manifest.chunks {
      let own = start..<(start + UInt64(chunk.length))
      let overlap = own.clamped(to: clipped)
      if !overlap.isEmpty {
        parts.append(
          Part(
            chunk: chunk, offset: UInt32(overlap.lowerBound - start), length: UInt32(overlap.count)
          ))
      }
      start = own.upperBound
      if start >= clipped.upperBound { break }
    }
    self.parts = parts
    self.length = UInt64(clipped.count)
  }
}
