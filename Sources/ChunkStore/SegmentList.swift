import StoreModel

/// The file `segments/list`: which segments there must be, and which of them end with a checkpoint, so that one that is
/// gone, or has lost its end, is noticed.
///
/// ```
/// holdfast segments 3
/// next 44
/// 1-40
/// 42 open
/// checksum 89abcdef
/// ```
///
/// The next segment's number is never one that another had, which records may still name. (Version 1 has no line for
/// it, and version 2 doesn't say which ones are open.) A segment is listed once its file is durable, as open until its
/// checkpoint is, and taken off before the file is removed. So one that is listed and not there was lost; one that is
/// there and not listed is only younger, or on its way out.
struct SegmentList: Sendable, Hashable {
  /// The segments' numbers.
  var numbers: Set<UInt32>
  /// Those of them that may have no checkpoint.
  var open: Set<UInt32>
  /// The lowest number that no segment ever had, as far as it is known.
  var next: UInt32

  /// Where it stands.
  static let path = "\(StorePaths.segments)/list"
  /// The titles of all versions, the last one written.
  private static let titles = ["holdfast segments 1", "holdfast segments 2", "holdfast segments 3"]
  private static let openMark = " open"
  /// The most bytes of it that are read: millions of segments.
  private static let maxBytes = 64 << 20
  /// The most segments of one disk.
  private static let maxCount = 1 << 22

  /// The file's text.
  var text: String {
    var lines = ["next \(next)"]
    var rest = numbers.subtracting(open).sorted()[...]
    while let first = rest.first {
      let run = zip(rest, first...).prefix { $0 == $1 }.count
      let last = first + UInt32(run - 1)
      lines.append(first == last ? "\(first)" : "\(first)-\(last)")
      rest = rest.dropFirst(run)
    }
    lines += open.intersection(numbers).sorted().map { "\($0)\(SegmentList.openMark)" }
    return CheckedText.text(title: SegmentList.titles[2], lines: lines)
  }

  /// Lists segments.
  init(numbers: Set<UInt32> = [], open: Set<UInt32> = [], next: UInt32 = 1) {
    self.numbers = numbers
    self.open = open
    self.next = next
  }

  /// Reads the file's text; nil when it is damaged.
  init?(parsing text: String) {
    self.init()
    let versions = SegmentList.titles.map { CheckedText.lines(of: text, title: $0) }
    guard let version = versions.lastIndex(where: { $0 != nil }), var body = versions[version]?[...]
    else { return nil }
    if version > 0 {
      guard let line = body.popFirst(), line.hasPrefix("next "),
        let number = UInt32(line.dropFirst(5)), number <= StorePaths.maxSegment
      else { return nil }
      next = number
    }
    for line in body {
      let isOpen = line.hasSuffix(SegmentList.openMark)
      let ends = line.dropLast(isOpen ? SegmentList.openMark.count : 0).split(separator: "-")
        .compactMap { UInt32($0) }
      guard let first = ends.first, let last = ends.last, ends.count <= 2, first <= last,
        last < StorePaths.maxSegment, numbers.count + Int(last - first) < SegmentList.maxCount
      else { return nil }
      numbers.formUnion(first...last)
      if isOpen { open.formUnion(first...last) }
    }
    if version < 2 { open = numbers }
  }

  /// Whether a segment ended with its checkpoint.
  func isSealed(_ number: UInt32) -> Bool {
    numbers.contains(number) && !open.contains(number)
  }

  /// Lists a segment that has no checkpoint yet.
  mutating func begin(_ number: UInt32) {
    numbers.insert(number)
    open.insert(number)
  }

  /// Takes a segment off.
  mutating func remove(_ number: UInt32) {
    numbers.remove(number)
    open.remove(number)
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
