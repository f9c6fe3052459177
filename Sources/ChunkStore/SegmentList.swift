import StoreModel

/// The file `segments/list`: which segments there must be, so that one that is gone is noticed.
///
/// ```
/// holdfast segments 2
/// next 44
/// 1-40
/// 42
/// checksum 89abcdef
/// ```
///
/// The next segment's number is never one that another had, which records may still name. (Version 1 has no line for it.)
/// A segment is listed once its file is durable, and taken off before the file is removed. So one that
/// is listed and not there was lost; one that is there and not listed is only younger, or on its way out.
struct SegmentList: Sendable, Hashable {
  /// The segments' numbers.
  var numbers: Set<UInt32>
  /// The lowest number that no segment ever had, as far as it is known.
  var next: UInt32

  /// Where it stands.
  static let path = "\(StorePaths.segments)/list"
  private static let title = "holdfast segments 2"
  private static let oldTitle = "holdfast segments 1"
  /// The most bytes of it that are read: millions of segments.
  private static let maxBytes = 64 << 20
  /// The most segments of one disk.
  private static let maxCount = 1 << 22

  /// The file's text.
  var text: String {
    var lines = ["next \(next)"]
    var rest = numbers.sorted()[...]
    while let first = rest.first {
      let run = zip(rest, first...).prefix { $0 == $1 }.count
      let last = first + UInt32(run - 1)
      lines.append(first == last ? "\(first)" : "\(first)-\(last)")
      rest = rest.dropFirst(run)
    }
    return CheckedText.text(title: SegmentList.title, lines: lines)
  }

  /// Lists segments.
  init(numbers: Set<UInt32>, next: UInt32) {
    self.numbers = numbers
    self.next = next
  }

  /// Reads the file's text; nil when it is damaged.
  init?(parsing text: String) {
    numbers = []
    next = 1
    let body: ArraySlice<Substring>
    if let lines = CheckedText.lines(of: text, title: SegmentList.title) {
      guard let line = lines.first, line.hasPrefix("next "),
        let number = UInt32(line.dropFirst(5)), number <= StorePaths.maxSegment
      else { return nil }
      next = number
      body = lines.dropFirst()
    } else if let lines = CheckedText.lines(of: text, title: SegmentList.oldTitle) {
      body = lines
    } else {
      return nil
    }
    for line in body {
      let ends = line.split(separator: "-").compactMap { UInt32($0) }
      guard let first = ends.first, let last = ends.last, ends.count <= 2, first <= last,
        last < StorePaths.maxSegment, numbers.count + Int(last - first) < SegmentList.maxCount
      else { return nil }
      numbers.formUnion(first...last)
    }
  }

  /// Reads the file.
  ///
  /// - Returns: nil when there is none or it is damaged.
  static func read(on disk: any Disk) async throws(StoreError) -> SegmentList? {
    try await CheckedText.read(path, on: disk, maxBytes: maxBytes).flatMap {
      SegmentList(parsing: $0)
    }
  }

  /// Replaces the file; durable when it returns, as are all names in its directory.
  func write(on disk: any Disk) async throws(StoreError) {
    try await CheckedText.write(text, to: SegmentList.path, in: StorePaths.segments, on: disk)
  }
}
