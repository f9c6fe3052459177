/// Text that grows line by line, with indentation.
struct CodePrinter {
  /// What was printed.
  private(set) var text = ""
  /// Spaces before each line.
  private var margin = ""

  /// Nothing printed.
  init() {}

  /// Prints lines at the present indentation; an empty string is an empty line, and a line break
  /// inside an argument begins another line.
  mutating func print(_ lines: String...) {
    for line in lines.flatMap({ $0.split(separator: "\n", omittingEmptySubsequences: false) }) {
      if !line.isEmpty {
        text += margin
        text += line
      }
      text += "\n"
    }
  }

  /// Prints what `body` prints two spaces further in.
  mutating func indented<Failure: Error>(
    _ body: (inout CodePrinter) throws(Failure) -> Void
  ) throws(Failure) {
    margin += "  "
    defer { margin.removeLast(2) }
    try body(&self)
  }

  /// Prints `head {`, the body two spaces further in, and `}`.
  mutating func block<Failure: Error>(
    _ head: String, _ body: (inout CodePrinter) throws(Failure) -> Void
  ) throws(Failure) {
    self.print("\(head) {")
    try indented(body)
    self.print("}")
  }

  /// Prints `switch subject {`, the cases at the same indentation, and `}`.
  mutating func switchBlock(_ subject: String, _ cases: (inout CodePrinter) -> Void) {
    self.print("switch \(subject) {")
    cases(&self)
    self.print("}")
  }

  /// Prints a declaration's documentation comment; nothing when the schema says nothing of it.
  mutating func printDocumentation(_ comments: Comments) {
    for line in comments.documentation { self.print(line.isEmpty ? "///" : "/// \(line)") }
  }

  /// Prints the comments that stand above a declaration, set off, as ordinary ones.
  mutating func printDetached(_ comments: Comments) {
    for comment in comments.detached {
      for line in Comments.lines(of: comment) { self.print(line.isEmpty ? "//" : "// \(line)") }
      self.print("")
    }
  }
}
