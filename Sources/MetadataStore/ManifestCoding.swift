import StoreModel

/// A manifest's chunks as compact bytes: five or six a chunk.
///
/// Lengths are two numbers for all (only the last chunk may be shorter), indices are places, the upload
/// is the row's key; what remains is each chunk's checksum and the difference of its group to the one
/// before.
enum ManifestCoding {
  /// Encodes chunks that `ManifestRules` accepted; empty bytes for none.
  static func encode(_ chunks: [Manifest.Chunk]) -> [UInt8] {
    guard let first = chunks.first, let last = chunks.last else { return [] }
    var writer = CompactWriter()
    writer.number(UInt64(chunks.count))
    writer.number(UInt64(first.length))
    writer.number(UInt64(last.length))
    var group: GroupID = 0
    for chunk in chunks {
      writer.signed(Int64(chunk.id.group) - Int64(group))
      writer.fixed(chunk.checksum)
      group = chunk.id.group
    }
    return writer.bytes
  }

  /// Decodes the chunks of `upload`.
  ///
  /// - Throws: `StoreError.dataLoss` when the bytes are damaged.
  static func decode(_ bytes: [UInt8], upload: UploadID) throws(StoreError) -> [Manifest.Chunk] {
    let damaged = StoreError.damaged("the manifest of upload \(upload) makes no sense")
    var reader = CompactReader(bytes)
    // A chunk has at least five bytes: a count that lies does not make us reserve memory.
    guard let count = reader.number(), count > 0, count <= UInt64(reader.remaining / 5 + 1),
      let length = reader.number().flatMap({ UInt32(exactly: $0) }),
      let lastLength = reader.number().flatMap({ UInt32(exactly: $0) })
    else { throw damaged }
    var chunks: [Manifest.Chunk] = []
    chunks.reserveCapacity(Int(count))
    var group: Int64 = 0
    for index in 0..<UInt32(count) {
      guard let step = reader.signed(), let checksum = reader.fixed() else { throw damaged }
      group &+= step
      guard let id = GroupID(exactly: group) else { throw damaged }
      chunks.append(
        Manifest.Chunk(
          id: ChunkID(group: id, upload: upload, index: index),
          length: UInt64(index) + 1 == count ? lastLength : length, checksum: checksum))
    }
    guard reader.isAtEnd else { throw damaged }
    return chunks
  }
}
