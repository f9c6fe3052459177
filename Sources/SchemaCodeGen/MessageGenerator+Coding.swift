// The functions of a message that carry it to the C struct, from it, and to and from JSON.
extension MessageGenerator {
  /// Prints `fill(_:in:)`.
  func printFill(_ out: inout CodePrinter) throws(GeneratorError) {
    out.print("", "/// Sets the C struct's fields.")
    printInlinable(&out)
    let head =
      "\(visibility)func fill(_ c: UnsafeMutablePointer<CStruct>, in arena: borrowing Arena) throws(SchemaError)"
    try out.block(head) { out throws(GeneratorError) in
      out.print("\(CNames.functions(message.fullName))__init(c)")
      for member in members {
        switch member {
        case .field(let property): try property.printFill(&out, types: types)
        case .oneof(let oneof): oneof.printFill(&out)
        }
      }
      out.print("try arena.unknownFields(self.unknownFields, of: c)")
    }
  }

  /// Prints `init(reading:)`.
  func printRead(_ out: inout CodePrinter) throws(GeneratorError) {
    out.print("", "/// Takes the C struct's fields.")
    printInlinable(&out)
    try out.block("\(visibility)init(reading c: UnsafePointer<CStruct>)") {
      out throws(GeneratorError) in
      for member in members {
        switch member {
        case .field(let property): try property.printRead(&out, types: types)
        case .oneof(let oneof): oneof.printRead(&out)
        }
      }
      out.print("self.unknownFields = CFields.unknownFields(c)")
    }
  }

  /// Lets other modules specialize what is public.
  private func printInlinable(_ out: inout CodePrinter) {
    if visibility == "public " { out.print("@inlinable") }
  }

  /// Prints `init(from:)`.
  func printJSONDecoding(_ out: inout CodePrinter) {
    out.print("", "/// Reads proto3's JSON.")
    out.block("\(visibility)init(from decoder: any Decoder) throws") { out in
      out.print("self.init()")
      out.print("var fields = try JSONFieldReader(decoder, message: Self.fullName)")
      out.block("while try fields.next()") { out in
        guard !members.isEmpty else { return out.print("try fields.refuse()") }
        out.switchBlock("fields.name") { out in
          for member in members {
            switch member {
            case .field(let property):
              printJSONCase(&out, property, claim: property.field.name) { value in
                "self.\(property.name) = \(value)"
              }
            case .oneof(let oneof):
              for property in oneof.members {
                printJSONCase(&out, property, claim: oneof.name) { value in
                  "self.\(oneof.property) = .\(property.name)(\(value))"
                }
              }
            }
          }
          out.print("default: try fields.refuse()")
        }
      }
    }
  }

  private func printJSONCase(
    _ out: inout CodePrinter, _ property: Property, claim: String, _ assign: (String) -> String
  ) {
    let json = property.field.jsonName
    let names = json == property.field.name ? [json] : [json, property.field.name]
    let head = "case \(names.map { "\"\($0)\"" }.joined(separator: ", ")):"
    let assignment = assign("try fields.\(property.jsonFunction)()")
    guard names.count > 1 || property.shape == .member else {
      return out.print("\(head) \(assignment)")
    }
    out.print(head)
    out.indented { $0.print("try fields.claim(\"\(claim)\")", assignment) }
  }

  /// Prints `encode(to:)`.
  func printJSONEncoding(_ out: inout CodePrinter) {
    out.print("", "/// Writes proto3's JSON.")
    out.block("\(visibility)func encode(to encoder: any Encoder) throws") { out in
      guard !members.isEmpty else { return out.print("_ = JSONFieldWriter(encoder)") }
      out.print("var fields = JSONFieldWriter(encoder)")
      for member in members {
        switch member {
        case .field(let property):
          let function = property.jsonFunction == "value" ? "field" : property.jsonFunction
          out.print("try fields.\(function)(\(property.jsonName), self.\(property.name))")
        case .oneof(let oneof):
          oneof.printEncode(&out)
        }
      }
    }
  }
}

extension Property {
  /// What of the JSON reader reads the field.
  fileprivate var jsonFunction: String {
    switch shape {
    case .repeated: "list"
    case .map: "map"
    case .plain, .optional, .pointer, .member: "value"
    }
  }

  /// The Swift literal of a proto2 default.
  func literal(ofDefault text: String, _ types: SchemaTypes) -> String {
    switch field.kind {
    case .enum:
      guard let type = types.enums[field.typeName],
        let place = type.values.firstIndex(where: { $0.name == text })
      else { return defaultValue }
      return "." + SwiftNames.identifier(type.cases[place])
    case .double, .float:
      switch text {
      case "inf": return ".infinity"
      case "-inf": return "-.infinity"
      case "nan": return ".nan"
      default: return text
      }
    default: return text
    }
  }
}
