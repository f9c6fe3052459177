import GRDB
import StoreModel

extension WriteTransaction {
  /// Counts a manifest's chunks for their groups, which must exist and serve its class.
  func use(_ manifest: Manifest) throws {
    for (group, sum) in Self.sums(manifest.chunks) {
      try database.run(
        "UPDATE placement_groups SET chunks = chunks + ?, bytes = bytes + ? "
          + "WHERE id = ? AND class = ?",
        [sum.chunks, sum.bytes, Int64(group), Int64(manifest.storageClass.code)])
      guard database.changesCount == 1 else {
        throw StoreError(
          .invalidArgument,
          "there is no placement group \(group) of class \(manifest.storageClass)")
      }
    }
  }

  /// Stores a manifest's chunks where they take the least space.
  func store(_ manifest: Manifest, upload: UploadID) throws -> EntryValue.Content {
    guard let first = manifest.chunks.first else { return .empty }
    guard manifest.chunks.count > 1 else { return .single(group: first.id.group, upload: upload) }
    try database.run(
      "INSERT INTO manifests (upload, names, chunks) VALUES (?, 1, ?)",
      [upload.stored, ManifestCoding.encode(manifest.chunks).stored])
    return .shared(upload: upload)
  }

  /// A name leads to its content no more: garbage, unless another name does.
  func drop(_ value: EntryValue, now: Int64) throws {
    let chunks: [Manifest.Chunk]
    let upload: UploadID
    switch value.content {
    case .empty: return
    case .single(_, let writer):
      chunks = try database.chunks(value)
      upload = writer
    case .shared(let writer):
      try database.run(
        "UPDATE manifests SET names = names - 1 WHERE upload = ?", [writer.stored])
      let row = try database.first(
        "SELECT names, chunks FROM manifests WHERE upload = ?", [writer.stored])
      guard let row else { throw StoreError.damaged("the manifest of upload \(writer) is gone") }
      let subject = "the manifest of upload \(writer)"
      guard try row.integer(0, in: Row.counts, of: subject) == 0 else { return }
      chunks = try ManifestCoding.decode(row.bytes(1, of: subject), upload: writer)
      upload = writer
      try database.run("DELETE FROM manifests WHERE upload = ?", [writer.stored])
    }
    try database.run(
      "INSERT INTO garbage (upload, since_us, chunks) VALUES (?, ?, ?)",
      [upload.stored, now, ManifestCoding.encode(chunks).stored])
    for (group, sum) in Self.sums(chunks) {
      try database.run(
        "UPDATE placement_groups SET chunks = chunks - ?, bytes = bytes - ? WHERE id = ?",
        [sum.chunks, sum.bytes, Int64(group)])
    }
  }

  /// Chunks and bytes of each group, by rising id.
  private static func sums(
    _ chunks: [Manifest.Chunk]
  ) -> [(group: GroupID, sum: (chunks: Int64, bytes: Int64))] {
    var sums: [GroupID: (chunks: Int64, bytes: Int64)] = [:]
    for chunk in chunks {
      let sum = sums[chunk.id.group] ?? (0, 0)
      sums[chunk.id.group] = (sum.chunks + 1, sum.bytes + Int64(chunk.length))
    }
    return sums.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
}
