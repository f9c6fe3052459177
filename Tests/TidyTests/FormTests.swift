import Foundation
import Testing

@Suite("Form")
struct FormTests {
  /// The most lines of a file written by hand.
  private static let maxFileLines = 500
  /// The most lines of a function, its head and closing brace included.
  private static let maxFunctionLines = 60

  @Test("no file is longer than 500 lines")
  func fileLength() {
    for file in SourceTree.here.written(".swift", ".c", ".h", ".proto", ".sh")
    where !file.path.hasPrefix("Protos/google/") {
      let count = file.lines.count - 1
      check(
        count <= Self.maxFileLines, "\(file.path) has \(count) lines: it holds more than one idea")
    }
  }

  @Test("no function of the sources is longer than 60 lines")
  func functionLength() throws {
    let head = try Regex(#"^(\s*)(?:@?[\w()]+\s+)*(?:func\s|init[?<(]|subscript\b)"#)
    for file in SourceTree.here.written(".swift") where file.path.hasPrefix("Sources/") {
      let lines = file.code
      for (number, line) in lines.enumerated() {
        guard let match = line.firstMatch(of: head), let indent = match.output[1].substring else {
          continue
        }
        let count = Self.length(of: lines[number...], indent: indent)
        check(
          count <= Self.maxFunctionLines,
          "\(file.path):\(number + 1): a function of \(count) lines: give its parts names")
      }
    }
  }

  /// Lines of the function that begins with the first of `lines`; 1 when it has no body.
  ///
  /// The sources are formatted, so a body ends at the first brace that stands where its head began.
  private static func length(of lines: ArraySlice<Substring>, indent: Substring) -> Int {
    for (offset, line) in lines.dropFirst().enumerated() where !line.isEmpty {
      if line.hasPrefix(indent + "}") { return offset + 2 }
      let isDeeper = line.hasPrefix(indent + " ") || line.hasPrefix(indent + ")")
      if !isDeeper && !line.hasPrefix(indent + "where") { return 1 }
    }
    return 1
  }

  @Test("no file stands for another that was to come")
  func noPlaceholders() {
    for file in SourceTree.here.files {
      let name = file.path.split(separator: "/").last ?? ""
      check(!name.lowercased().hasPrefix("placeholder"), "\(file.path)")
    }
  }

  @Test("files have names, not heaps")
  func fileNames() {
    let heaps = ["Utils", "Utilities", "Helpers", "Common", "Manager", "Misc", "Extensions"]
    for file in SourceTree.here.written(".swift", ".c", ".h") {
      let name = file.path.split(separator: "/").last?.split(separator: ".").first ?? ""
      check(!heaps.contains { name.hasSuffix($0) }, "\(file.path): name it for what it is")
    }
  }

  @Test("generated Swift says so", arguments: ["Sources"])
  func generatedIsMarked(folder: String) {
    for file in SourceTree.here.files
    where file.path.hasPrefix(folder) && file.path.contains("/Generated/")
      && file.path.hasSuffix(".swift")
    {
      let top = file.lines.prefix(12).joined(separator: "\n")
      check(
        top.contains("swift-format-ignore-file"), "\(file.path): the formatter would touch it")
    }
  }

  @Test("the repository's top level holds what it may hold")
  func topLevel() throws {
    let names = try SourceTree.here.names(in: "").filter { !SourceTree.isLeftover($0) }
    let strangers = Set(names).subtracting(SourceTree.topLevel)
    check(strangers.isEmpty, "\(strangers.sorted())")
  }
}
