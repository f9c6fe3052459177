import Foundation
import Testing

@Suite("Documents")
struct DocumentTests {
  private static var documents: [SourceTree.File] {
    SourceTree.here.files.filter { $0.path.hasSuffix(".md") }
  }

  @Test("links lead to files that are there")
  func links() throws {
    let link = try Regex(#"\]\(([^)\s]+)\)"#)
    for document in Self.documents {
      let folder = document.path.split(separator: "/").dropLast().map(String.init)
      for (number, line) in document.lines.enumerated() {
        for match in line.matches(of: link) {
          guard let target = match.output[1].substring else { continue }
          guard !target.contains("://"), !target.hasPrefix("mailto:"), !target.hasPrefix("#") else {
            continue
          }
          let path = String(target.prefix { $0 != "#" })
          check(
            SourceTree.here.has((folder + [path]).joined(separator: "/")),
            "\(document.path):\(number + 1): \(path) is not there")
        }
      }
    }
  }

  @Test("paths in backticks are there")
  func paths() throws {
    let path = try Regex(#"`((?:Sources|Tests|Protos|Plugins|\.ci)/[\w./-]*)`"#)
    for document in Self.documents {
      for (number, line) in document.lines.enumerated() {
        for match in line.matches(of: path) {
          guard let target = match.output[1].substring else { continue }
          check(
            SourceTree.here.has(String(target)),
            "\(document.path):\(number + 1): \(target) is not there")
        }
      }
    }
  }

  @Test("commands named in documents are targets of the Makefile")
  func makeTargets() throws {
    let makefile = try #require(SourceTree.here.files.first { $0.path == "Makefile" })
    let declared = Set(
      makefile.lines.compactMap { line -> Substring? in
        guard let colon = line.firstIndex(of: ":") else { return nil }
        let name = line[..<colon]
        return name.allSatisfy { $0.isLetter || $0 == "-" } ? name : nil
      })
    let command = try Regex("`make ([a-z][a-z-]*)")
    for document in Self.documents {
      for (number, line) in document.lines.enumerated() {
        for match in line.matches(of: command) {
          guard let name = match.output[1].substring else { continue }
          check(
            declared.contains(name),
            "\(document.path):\(number + 1): make \(name) is no target")
        }
      }
    }
  }
}
