import Testing

@Suite("Reading code without its comments and strings")
struct SwiftCodeTests {
  private func code(_ text: String) -> String {
    SwiftCode(text).lines.joined(separator: "\n")
  }

  @Test("comments vanish, lines stay")
  func comments() {
    #expect(code("a // b\nc") == "a \nc")
    #expect(code("a /* b\n /* c */ d */ e\nf") == "a \n e\nf")
  }

  @Test("strings are blanked, what follows them is not")
  func strings() {
    #expect(code(#"f("// no \" comment") + g"#) == #"f("") + g"#)
    #expect(code(##"f(#"a " b"#) + g"##) == #"f("") + g"#)
    #expect(code("f(\"\"\"\n  a \" b\n  \"\"\") + g") == "f(\n\n\"\") + g")
  }

  @Test("interpolated code is code")
  func interpolation() {
    #expect(code(#"f("a \(g(h("x)"))) b") + i"#) == #"f(g(h(""))"") + i"#)
  }
}
