import Foundation
import Testing

/// The files of this repository, as the tidy tests read them.
struct SourceTree {
  /// One file with its text.
  struct File {
    /// From the repository's root, such as `Sources/RPC/Method.swift`.
    let path: String
    /// All of it.
    let text: String
    /// The lines, without their ends.
    let lines: [Substring]
    /// The same lines without comments and string literals; none unless it is Swift.
    let code: [Substring]

    init(path: String, text: String) {
      self.path = path
      self.text = text
      lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      code = path.hasSuffix(".swift") && !File.isGenerated(path) ? SwiftCode(text).lines : []
    }

    /// The numbers of the lines, from 1, in which a regular expression is found; in code alone or in
    /// everything. Foundation's engine: these tests read some megabytes, several times.
    func lines(matching pattern: String, inCode: Bool = true) throws -> [Int] {
      let expression = try NSRegularExpression(pattern: pattern, options: [.anchorsMatchLines])
      let searched = inCode ? code.joined(separator: "\n") : text
      let whole = NSRange(location: 0, length: searched.utf16.count)
      return expression.matches(in: searched, range: whole).map { match in
        let start = searched.utf16.index(searched.startIndex, offsetBy: match.range.location)
        return searched[..<start].utf8.count { $0 == UInt8(ascii: "\n") } + 1
      }
    }

    /// The folder below `Sources`, `Tests` or `Plugins`: a room, its tests, a plugin.
    var room: String {
      let parts = path.split(separator: "/")
      return parts.count > 2 ? String(parts[1]) : ""
    }

    /// Whether a tool wrote it.
    var isGenerated: Bool { File.isGenerated(path) }

    private static func isGenerated(_ path: String) -> Bool {
      path.contains("/Generated/") || path.hasSuffix(".pb.swift") || path.hasSuffix(".pb-c.c")
        || path.hasSuffix(".pb-c.h") || path.hasPrefix("Sources/CSchemas/")
        || path.hasPrefix("Tests/SchemaCodeGenTests/Fixtures/")
    }
  }

  /// The repository's root.
  let root: URL
  /// Every readable file of text that belongs to the project, by path.
  let files: [File]

  /// This repository, found from where this file stands.
  static let here = SourceTree(
    root: URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent())

  /// The entries that the repository may have at top level.
  static let topLevel: Set<String> = [
    ".ci", ".gitignore", ".swift-format", "LICENSE", "Makefile", "Package.swift", "Plugins",
    "Protos",
    "README.md", "Sources", "Tests",
  ]

  /// Entries that tools leave at top level and git ignores.
  static func isLeftover(_ name: String) -> Bool {
    name == ".git" || name.hasPrefix(".build") || name == ".swiftpm" || name == "Package.resolved"
  }

  private init(root: URL) {
    self.root = root
    var files: [File] = []
    for entry in SourceTree.topLevel.sorted() {
      let top = root.appending(path: entry)
      let below = FileManager.default.enumerator(atPath: top.path)?.allObjects as? [String] ?? []
      for path in [""] + below.sorted() {
        guard !path.split(separator: "/").contains(where: { $0.hasPrefix(".build") }) else {
          continue
        }
        let whole = path.isEmpty ? entry : "\(entry)/\(path)"
        guard let data = FileManager.default.contents(atPath: root.appending(path: whole).path),
          let text = String(validating: data, as: UTF8.self)
        else { continue }
        files.append(File(path: whole, text: text))
      }
    }
    self.files = files
  }

  /// Files written by hand with one of these endings.
  func written(_ endings: String...) -> [File] {
    files.filter { file in
      !file.isGenerated && endings.contains { file.path.hasSuffix($0) }
    }
  }

  /// Whether a file or folder is there.
  func has(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: root.appending(path: path).path)
  }

  /// The names in a folder, sorted.
  func names(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path).sorted()
  }
}

/// Records `finding` when something does not hold: an expectation whose report is the finding alone.
func check(
  _ holds: Bool, _ finding: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard !holds else { return }
  Issue.record(Comment(rawValue: finding()), sourceLocation: sourceLocation)
}
