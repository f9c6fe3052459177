/// What a manifest must satisfy to be published, beside being consistent.
public enum ManifestRules {
  /// The most bytes of a chunk: 64 MiB.
  public static let maxChunkBytes: UInt32 = 64 << 20
  /// The most chunks of a file: 8 TiB of chunks of 8 MiB.
  public static let maxChunks = 1 << 20
  /// The most bytes of a file: 64 TiB.
  public static let maxFileBytes = UInt64(maxChunks) * UInt64(maxChunkBytes)

  /// Checks a manifest that a client wants to publish for `upload`.
  ///
  /// Beside `Manifest.check`: every chunk but the last has the same length, so that an offset tells its
  /// chunk; a file of one chunk has the chunk's checksum; an empty file has checksum 0.
  ///
  /// - Throws: `StoreError.invalidArgument` that says what is wrong.
  public static func check(_ manifest: Manifest, upload: UploadID) throws(StoreError) {
    guard manifest.chunks.count <= maxChunks else {
      throw StoreError(
        .invalidArgument,
        "the manifest has \(manifest.chunks.count) chunks; at most \(maxChunks) are allowed")
    }
    try manifest.check(upload: upload)
    guard let first = manifest.chunks.first else {
      guard manifest.checksum == 0 else {
        throw StoreError(.invalidArgument, "an empty file's checksum is 0")
      }
      return
    }
    guard first.length <= maxChunkBytes else {
      throw StoreError(
        .invalidArgument, "chunk \(first.id) has more than \(maxChunkBytes) bytes")
    }
    for chunk in manifest.chunks {
      guard chunk.id.group != 0 else {
        throw StoreError(.invalidArgument, "chunk \(chunk.id) names no placement group")
      }
      let isLast = Int(chunk.id.index) == manifest.chunks.count - 1
      guard isLast ? chunk.length <= first.length : chunk.length == first.length else {
        throw StoreError(
          .invalidArgument,
          "chunk \(chunk.id) has \(chunk.length) bytes; all but the last, which may be shorter, "
            + "have the first one's \(first.length)")
      }
    }
    guard manifest.chunks.count > 1 || first.checksum == manifest.checksum else {
      throw StoreError(.invalidArgument, "the only chunk's checksum is not the file's")
    }
  }
}
