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

  /// Prints `init(json:options:)`.
  func printJSONDecoding(_ out: inout CodePrinter) {
    out.print("", "/// Reads proto3's JSON.")
    let head = "\(visibility)init(json: JSONValue, options: JSONOptions) throws(SchemaError)"
    out.block(head) { out in
      out.print("self.init()")
      out.print(
        "var fields = try JSONFieldReader(json, message: Self.fullName, options: options)")
      out.block("while fields.next()") { out in
        guard !members.isEmpty else { return out.print("try fields.refuse()") }
        out.switchBlock("fields.name") { out in
          for member in members {
            switch member {
            case .field(let property):
              printJSONCase(&out, property)
            case .oneof(let oneof):
              for property in oneof.members { printJSONCase(&out, property, of: oneof) }
            }
          }
          out.print("default: try fields.refuse()")
        }
      }
    }
  }

  private func printJSONCase(_ out: inout CodePrinter, _ property: Property) {
    let read = "try fields.\(property.jsonReader)(&self.\(property.name))"
    let names = property.jsonNames
    let head = "case \(names.joined(separator: ", ")):"
    guard names.count > 1 else { return out.print("\(head) \(read)") }
    out.print(head)
    out.indented { $0.print("try fields.claim(\"\(property.field.name)\")", read) }
  }

  private func printJSONCase(_ out: inout CodePrinter, _ property: Property, of oneof: Oneof) {
    out.print("case \(property.jsonNames.joined(separator: ", ")):")
    out.indented { out in
      out.block("if let value = try fields.member(\(property.elementType).self)") { out in
        out.print(
          "try fields.claim(\"\(oneof.name)\")",
          "self.\(oneof.property) = .\(property.name)(value)")
      }
    }
  }

  /// Prints `writeJSON(to:)`.
  func printJSONEncoding(_ out: inout CodePrinter) {
    out.print("", "/// Writes proto3's JSON.")
    let head = "\(visibility)func writeJSON(to out: inout JSONWriter) throws(SchemaError)"
    out.block(head) { out in
      guard !members.isEmpty else { return out.print("try out.message { _ in }") }
      out.print("try out.message { out throws(SchemaError) in")
      out.indented { out in
        for member in members {
          switch member {
          case .field(let property):
            out.print(
              "try out.\(property.jsonWriter)(\(property.jsonName), self.\(property.name))")
          case .oneof(let oneof):
            oneof.printEncode(&out)
          }
        }
      }
      out.print("}")
    }
  }
}

extension Property {
  /// The field's two names in JSON, each once, as Swift literals.
  fileprivate var jsonNames: [String] {
    let names = field.jsonName == field.name ? [field.name] : [field.jsonName, field.name]
    return names.map { "\"\($0)\"" }
  }

  /// What of the JSON reader reads the field.
  fileprivate var jsonReader: String {
    switch shape {
    case .repeated: "list"
    case .map: "map"
    case .plain, .optional, .pointer, .member, .single: "read"
    }
  }

  /// What of the JSON writer writes the field.
  fileprivate var jsonWriter: String {
    jsonReader == "read" ? "field" : jsonReader
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
