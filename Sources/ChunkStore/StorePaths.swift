/// Where in the data directory things stand.
enum StorePaths {
  /// The file that says whose data it is.
  static let format = "format"
  /// The file that is locked while the store is open.
  static let lock = "lock"
  /// The directory of the segments.
  static let segments = "segments"
  /// Room for a small segment, set aside for deleting and compacting on a full disk.
  static let reserve = "reserve"
  /// Which disks the node has.
  static let disks = "disks"
  /// What other disks of the node can't say themselves of their chunks' deletions.
  static let deletions = "deletions"
  /// When each segment was last verified.
  static let scrub = "scrub"
  /// What the names of files end with that are written before they take their place.
  static let temporarySuffix = ".new"

  /// What the names of files end with that tell of what was lost: what is left of segments in which nothing was found,
  /// or nothing, where the rest of a segment was moved or the whole of it is gone.
  static let lostSuffix = ".lost"

  /// The path of a segment.
  static func segment(_ number: UInt32) -> String {
    let digits = String(number, radix: 16)
    return "\(segments)/\(String(repeating: "0", count: 8 - digits.count))\(digits).segment"
  }

  /// Numbers from here on are no segments': others must be able to follow.
  static let maxSegment: UInt32 = 1 << 31

  /// The number of a segment by its file's name; nil when it is none.
  static func segment(ofFile name: String) -> UInt32? {
    guard let dot = name.firstIndex(of: "."), let number = UInt32(name[..<dot], radix: 16),
      number > 0, number < maxSegment, segment(number) == "\(segments)/\(name)"
    else { return nil }
    return number
  }
}
