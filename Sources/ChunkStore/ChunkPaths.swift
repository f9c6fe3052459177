import StoreModel

/// Where in the data directory things stand.
///
/// A chunk's file is `chunks/DIRECTORY/GROUP-UPLOAD-INDEX`, all hexadecimal. Neighbouring uploads share
/// a directory, so that chunks which are written at the same time share its sync, and directories
/// stay small. Where a directory could not be synced, nothing more is written to it: the next
/// *generation* of it, `DIRECTORY.1` and so on, takes its place.
enum ChunkPaths {
  /// The file that says whose data it is.
  static let format = "format"
  /// The file that is locked while the store is open.
  static let lock = "lock"
  /// The directory of the chunks' directories.
  static let chunks = "chunks"
  /// The directory of files that are being written; emptied when the store opens.
  static let temporary = "tmp"
  /// The directory of files that were found damaged or foreign.
  static let quarantine = "quarantine"
  /// How many uploads share a directory, as a power of two.
  static let uploadsPerDirectoryBits = 14

  /// The name of the directory that a chunk belongs to, without its generation.
  static func base(of id: ChunkID) -> String {
    hexadecimal(id.upload >> uploadsPerDirectoryBits, digits: 13)
  }

  /// The path of a directory's generation.
  static func directory(base: String, generation: Int) -> String {
    generation == 0 ? "\(chunks)/\(base)" : "\(chunks)/\(base).\(generation)"
  }

  /// The path of a chunk's file in the directory's generation.
  static func file(of id: ChunkID, generation: Int) -> String {
    "\(directory(base: base(of: id), generation: generation))/\(fileName(of: id))"
  }

  /// The name of a chunk's file.
  static func fileName(of id: ChunkID) -> String {
    let group = hexadecimal(UInt64(id.group), digits: 8)
    return
      "\(group)-\(hexadecimal(id.upload, digits: 16))-\(hexadecimal(UInt64(id.index), digits: 8))"
  }

  /// The chunk whose file has this name; nil when none has.
  static func chunk(ofFile name: some StringProtocol) -> ChunkID? {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard
      parts.count == 3,
      let group = UInt32(parts[0], radix: 16),
      let upload = UInt64(parts[1], radix: 16),
      let index = UInt32(parts[2], radix: 16)
    else { return nil }
    let id = ChunkID(group: group, upload: upload, index: index)
    return fileName(of: id) == name ? id : nil
  }

  /// The generation of a directory by its name; nil when it is no chunk directory's.
  static func generation(ofDirectory name: String) -> (base: String, generation: Int)? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard
      (1...2).contains(parts.count), parts[0].utf8.count == 13,
      UInt64(parts[0], radix: 16) != nil
    else { return nil }
    guard parts.count == 2 else { return (name, 0) }
    guard let generation = Int(parts[1]), generation > 0, parts[1] == "\(generation)" else {
      return nil
    }
    return (String(parts[0]), generation)
  }

  /// So many hexadecimal digits.
  private static func hexadecimal(_ number: UInt64, digits: Int) -> String {
    let text = String(number, radix: 16)
    return String(repeating: "0", count: max(digits - text.utf8.count, 0)) + text
  }
}
