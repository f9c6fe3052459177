/// An enum as an open Swift enum.
struct EnumGenerator {
  private let declaration: SchemaEnum
  private let visibility: String
  private let name: String
  /// The first value of each number, with its case.
  private let cases: [(name: String, value: SchemaEnum.Value)]
  /// Further values of numbers that have a case: names for the same.
  private let aliases: [(name: String, of: String, value: SchemaEnum.Value)]

  /// Resolves an enum's cases.
  init(
    _ declaration: SchemaEnum, visibility: String, types: SchemaTypes
  ) throws(GeneratorError) {
    self.declaration = declaration
    self.visibility = visibility
    let type = try types.enum(declaration.fullName)
    name = type.swiftName.split(separator: ".").last.map(String.init) ?? type.swiftName
    var byNumber: [Int32: String] = [:]
    var numbers: [String: Int32] = [:]
    var cases: [(name: String, value: SchemaEnum.Value)] = []
    var aliases: [(name: String, of: String, value: SchemaEnum.Value)] = []
    for (bare, value) in zip(type.cases, declaration.values) {
      let name = SwiftNames.identifier(bare)
      if let number = numbers.updateValue(value.number, forKey: bare) {
        // Two aliases may differ in the schema by their letters' case alone: one name serves both.
        guard number == value.number else {
          throw GeneratorError(
            declaration.fullName, "two values become the same case in Swift, \(bare)")
        }
        continue
      }
      if let original = byNumber[value.number] {
        aliases.append((name, original, value))
      } else {
        byNumber[value.number] = name
        cases.append((name, value))
      }
    }
    self.cases = cases
    self.aliases = aliases
  }

  /// Prints the enum.
  func print(_ out: inout CodePrinter) throws(GeneratorError) {
    guard let first = cases.first else {
      throw GeneratorError(declaration.fullName, "has no values")
    }
    out.printDetached(declaration.comments)
    out.printDocumentation(declaration.comments)
    out.block("\(visibility)enum \(name): OpenEnum") { out in
      printCases(&out)
      out.print(
        "", "/// The default.", "\(visibility)init() { self = .\(first.name) }", "",
        "/// The case of a number.")
      out.block("\(visibility)init(rawValue: Int32)") { out in
        out.switchBlock("rawValue") { out in
          for (name, value) in cases { out.print("case \(value.number): self = .\(name)") }
          out.print("default: self = .UNRECOGNIZED(Int(rawValue))")
        }
      }
      out.print("", "/// The number on the wire.")
      out.block("\(visibility)var rawValue: Int32") { out in
        out.switchBlock("self") { out in
          for (name, value) in cases { out.print("case .\(name): \(value.number)") }
          out.print("case .UNRECOGNIZED(let number): Int32(truncatingIfNeeded: number)")
        }
      }
      printDescription(&out)
    }
  }

  private func printCases(_ out: inout CodePrinter) {
    for (name, value) in cases {
      out.printDocumentation(value.comments)
      out.print("case \(name)")
    }
    out.print("/// A number that the schema doesn't know.", "case UNRECOGNIZED(Int)")
    for (name, original, value) in aliases {
      out.print("")
      out.printDocumentation(value.comments)
      out.print("\(visibility)static var \(name): \(self.name) { .\(original) }")
    }
  }

  private func printDescription(_ out: inout CodePrinter) {
    out.print(
      "", "/// `\(declaration.fullName)`.",
      "\(visibility)static var fullName: String { \"\(declaration.fullName)\" }",
      "/// Every number with its name in the schema.",
      "\(visibility)static let names: [(number: Int32, name: String)] = [")
    out.indented { out in
      for value in declaration.values { out.print("(\(value.number), \"\(value.name)\"),") }
    }
    out.print("]")
  }
}
