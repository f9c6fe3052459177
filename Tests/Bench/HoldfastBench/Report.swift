import Foundation

/// What was measured: printed as it comes, and written as JSON lines where asked for.
struct Report {
  /// The beginning of the names of the figures that are wanted; empty: all.
  private let only: String
  private let json: FileHandle?
  private var hasHead = false

  /// A report on the figures whose names begin with `only`, with a JSON line each in `jsonPath`.
  ///
  /// - Throws: `BenchError` when the file can't be made.
  init(only: String, jsonPath: String?) throws(BenchError) {
    self.only = only
    guard let jsonPath else {
      json = nil
      return
    }
    guard FileManager.default.createFile(atPath: jsonPath, contents: nil),
      let handle = FileHandle(forWritingAtPath: jsonPath)
    else {
      throw BenchError("can't write \(jsonPath)")
    }
    json = handle
  }

  /// Whether a figure was asked for.
  func wants(_ name: String) -> Bool {
    name.hasPrefix(only)
  }

  /// Whether any figure of a group, such as `file.`, may have been asked for.
  func wantsAny(of group: String) -> Bool {
    group.hasPrefix(only) || only.hasPrefix(group)
  }

  /// Says something beside the table.
  func say(_ text: String) {
    FileHandle.standardOutput.write(Data((text + "\n").utf8))
  }

  /// Adds a figure.
  mutating func add(_ figure: Figure) {
    if !hasHead {
      say(Figure.head)
      hasHead = true
    }
    say(figure.row)
    try? json?.write(contentsOf: Data((figure.json + "\n").utf8))
  }
}
