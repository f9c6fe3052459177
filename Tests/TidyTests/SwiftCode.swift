/// Swift text with its comments and string literals blanked out: what is left is code.
///
/// Lines stay where they were, so that a finding can name its line.
struct SwiftCode {
  /// The code, line by line.
  let lines: [Substring]

  private var rest: Substring.UTF8View
  private var code: [UInt8] = []

  /// Blanks out what is not code.
  init(_ text: String) {
    let all = text[...]
    var scanner = SwiftCode(rest: all.utf8)
    scanner.scanCode(until: nil)
    self.init(lines: String(decoding: scanner.code, as: UTF8.self))
  }

  private init(rest: Substring.UTF8View) {
    self.rest = rest
    lines = []
  }

  private init(lines text: String) {
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    rest = Substring().utf8
  }

  private func starts(with text: StaticString) -> Bool {
    text.withUTF8Buffer { rest.starts(with: $0) }
  }

  /// Passes over `count` bytes; line ends stay.
  private mutating func blank(_ count: Int) {
    for byte in rest.prefix(count) where byte == UInt8(ascii: "\n") { code.append(byte) }
    rest = rest.dropFirst(count)
  }

  /// Copies code up to the end, or to the parenthesis that closes an interpolation.
  private mutating func scanCode(until closing: UInt8?) {
    var depth = 0
    while let byte = rest.first {
      if starts(with: "//") {
        while let next = rest.first, next != UInt8(ascii: "\n") { blank(1) }
      } else if starts(with: "/*") {
        skipBlockComment()
      } else if byte == UInt8(ascii: "\"") || starts(with: "#\"") || starts(with: "##\"") {
        skipString()
      } else {
        if byte == UInt8(ascii: "(") { depth += 1 }
        if byte == UInt8(ascii: ")") { depth -= 1 }
        if depth < 0, byte == closing {
          blank(1)
          return
        }
        code.append(byte)
        rest = rest.dropFirst()
      }
    }
  }

  private mutating func skipBlockComment() {
    var depth = 0
    repeat {
      if starts(with: "/*") {
        depth += 1
        blank(2)
      } else if starts(with: "*/") {
        depth -= 1
        blank(2)
      } else {
        blank(1)
      }
    } while depth > 0 && !rest.isEmpty
  }

  private mutating func skipString() {
    var pounds = 0
    while rest.first == UInt8(ascii: "#") {
      pounds += 1
      blank(1)
    }
    let isMultiline = starts(with: "\"\"\"")
    let quotes = isMultiline ? 3 : 1
    blank(quotes)
    let fence = [UInt8](repeating: UInt8(ascii: "#"), count: pounds)
    let end = [UInt8](repeating: UInt8(ascii: "\""), count: quotes) + fence
    let escape = [UInt8(ascii: "\\")] + fence
    while !rest.isEmpty {
      if rest.starts(with: end) {
        blank(end.count)
        code += Array("\"\"".utf8)
        return
      }
      if rest.starts(with: escape + [UInt8(ascii: "(")]) {
        blank(escape.count + 1)
        scanCode(until: UInt8(ascii: ")"))
      } else if rest.starts(with: escape) {
        blank(escape.count + 1)
      } else if !isMultiline, rest.first == UInt8(ascii: "\n") {
        return
      } else {
        blank(1)
      }
    }
  }
}
