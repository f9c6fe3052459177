// What carries one value between Swift and C. `c` is the pointer to the C struct, `arena` its memory.
extension Property {
  /// The C value of the Swift value `value`, which isn't optional unless the field's a pointer.
  static func toC(_ field: SchemaField, _ value: String) -> String {
    switch field.kind {
    case .bool: "\(value) ? 1 : 0"
    case .string: "try arena.string(\(value))"
    case .bytes: field.isBody ? "try arena.body(\(value))" : "try arena.bytes(\(value))"
    case .enum: ".init(rawValue: .init(truncatingIfNeeded: \(value).rawValue))"
    case .message, .group: "try arena.message(\(value))"
    default: value
    }
  }

  /// The Swift value of the C value `value`; of a pointer, a value that is surely there.
  static func fromC(_ field: SchemaField, _ value: String, type: String) -> String {
    switch field.kind {
    case .bool: "\(value) != 0"
    case .string: "CFields.string(\(value))"
    case .bytes: field.isBody ? "CFields.body(\(value))" : "CFields.bytes(\(value))"
    case .enum: "\(type)(rawValue: .init(truncatingIfNeeded: \(value).rawValue))"
    case .message, .group: "CFields.present(\(value))"
    default: value
    }
  }

  /// Prints what sets the field in the C struct.
  func printFill(_ out: inout CodePrinter, types: SchemaTypes) throws(GeneratorError) {
    switch shape {
    case .pointer where field.kind == .string:
      out.print("c.pointee.\(member) = try arena.optionalString(self.\(name))")
    case .plain, .pointer:
      out.print("c.pointee.\(member) = \(Self.toC(field, "self.\(name)"))")
    case .optional:
      out.block("if let value = self.\(name)") { out in
        out.print("c.pointee.has_\(memberBase) = 1")
        out.print("c.pointee.\(member) = \(Self.toC(field, "value"))")
      }
    case .single:
      out.block("if let value = self.\(name)") { out in
        out.print("c.pointee.\(singleCase) = .init(rawValue: \(field.number))")
        out.print("c.pointee.\(member) = \(Self.toC(field, "value"))")
      }
    case .repeated:
      out.print("c.pointee.n_\(memberBase) = self.\(name).count")
      out.print("c.pointee.\(member) = \(listToC)")
    case .map:
      try printMapFill(&out, types: types)
    case .member:
      throw GeneratorError(path, "a oneof's member is set with its oneof")
    }
  }

  /// What says in C whether proto3's `optional` is there: protoc's name for its oneof.
  private var singleCase: String { CNames.oneofCase("_" + field.name) }

  private var listToC: String {
    switch field.kind {
    case .bool: "try arena.flags(self.\(name))"
    case .string: "try arena.strings(self.\(name))"
    case .bytes: "try arena.bytesList(self.\(name))"
    case .enum: "try arena.enums(self.\(name))"
    case .message, .group: "try arena.messages(self.\(name))"
    default: "try arena.list(self.\(name))"
    }
  }

  private func printMapFill(
    _ out: inout CodePrinter, types: SchemaTypes
  ) throws(GeneratorError) {
    guard let entry else { return }
    let cType = CNames.type(field.typeName)
    let key = try Self.swiftType(entry.key, types)
    let value = try Self.swiftType(entry.value, types)
    let keyToC = Self.toC(entry.key, "key")
    let valueToC = Self.toC(entry.value, "value")
    out.print("c.pointee.n_\(memberBase) = self.\(name).count")
    out.print("c.pointee.\(member) = try arena.map(")
    out.indented { out in
      out.print("self.\(name), sortedBy: { Arena.isOrdered($0.key, $1.key) }")
    }
    out.print(
      ") { (c: UnsafeMutablePointer<\(cType)>, key: \(key), value: \(value)) throws(SchemaError) in"
    )
    out.indented { out in
      out.print("\(CNames.functions(field.typeName))__init(c)")
      out.print("c.pointee.key = \(keyToC)")
      out.print("c.pointee.value = \(valueToC)")
    }
    out.print("}")
  }

  /// Prints what takes the field out of the C struct.
  func printRead(_ out: inout CodePrinter, types: SchemaTypes) throws(GeneratorError) {
    let source = "c.pointee.\(member)"
    switch shape {
    case .plain:
      out.print("self.\(name) = \(Self.fromC(field, source, type: elementType))")
    case .pointer where field.kind == .string:
      out.print("self.\(name) = CFields.optionalString(\(source))")
    case .pointer:
      out.print("self.\(name) = CFields.message(\(source))")
    case .optional:
      let value = Self.fromC(field, source, type: elementType)
      out.print("self.\(name) = c.pointee.has_\(memberBase) != 0 ? \(value) : nil")
    case .single:
      let value = Self.fromC(field, source, type: elementType)
      out.print(
        "self.\(name) = c.pointee.\(singleCase).rawValue == \(field.number) ? \(value) : nil")
    case .repeated:
      out.print("self.\(name) = CFields.\(listFromC)(\(source), c.pointee.n_\(memberBase))")
    case .map:
      guard let entry else { return }
      let cType = CNames.type(field.typeName)
      let key = try Self.swiftType(entry.key, types)
      let value = try Self.swiftType(entry.value, types)
      out.print("self.\(name) = CFields.map(\(source), c.pointee.n_\(memberBase)) {")
      out.indented { out in
        out.print("(c: UnsafePointer<\(cType)>) -> (\(key), \(value)) in")
        out.print(
          "(",
          "  \(Self.fromC(entry.key, "c.pointee.key", type: key)),",
          "  \(Self.fromC(entry.value, "c.pointee.value", type: value))",
          ")")
      }
      out.print("}")
    case .member:
      throw GeneratorError(path, "a oneof's member is read with its oneof")
    }
  }

  private var listFromC: String {
    switch field.kind {
    case .bool: "flags"
    case .string: "strings"
    case .bytes: "bytesList"
    case .enum: "enums"
    case .message, .group: "messages"
    default: "list"
    }
  }
}
