/// A oneof as a Swift enum with associated values, and as an optional property of its message.
struct Oneof {
  /// The oneof's name in the schema.
  let name: String
  /// The property's name.
  let property: String
  /// The enum's name.
  let type: String
  /// Its members, in the order of the schema.
  let members: [Property]
  /// The C struct's member that says which is set.
  let cCase: String
  /// What the schema says of it.
  let comments: Comments

  /// A oneof with its members.
  init(_ oneof: SchemaOneof, members: [Property]) {
    name = oneof.name
    property = SwiftNames.identifier(SwiftNames.property(oneof.name))
    type = "OneOf_" + SwiftNames.upperCamel(oneof.name)
    self.members = members
    cCase = CNames.oneofCase(oneof.name)
    comments = oneof.comments
  }

  /// Prints the enum.
  func printDeclaration(_ out: inout CodePrinter, visibility: String) {
    out.print("", "/// What the oneof `\(name)` holds.")
    out.block("\(visibility)enum \(type): Sendable, Hashable") { out in
      for member in members {
        out.printDocumentation(member.field.comments)
        let indirect = member.isRecursive ? "indirect " : ""
        out.print("\(indirect)case \(member.name)(\(member.type))")
      }
    }
  }

  /// Prints what sets the member that is there in the C struct.
  func printFill(_ out: inout CodePrinter) {
    out.switchBlock("self.\(property)") { out in
      for member in members {
        out.print("case .\(member.name)(let value)?:")
        out.indented { out in
          out.print("c.pointee.\(cCase) = .init(rawValue: \(member.field.number))")
          let value = Property.toC(member.field, "value")
          out.print("c.pointee.\(member.member) = \(value)")
        }
      }
      out.print("case nil: break")
    }
  }

  /// Prints what takes the member that is there out of the C struct.
  func printRead(_ out: inout CodePrinter) {
    out.switchBlock("c.pointee.\(cCase).rawValue") { out in
      for member in members {
        let value = Property.fromC(
          member.field, "c.pointee.\(member.member)", type: member.elementType)
        out.print("case \(member.field.number): self.\(property) = .\(member.name)(\(value))")
      }
      out.print("default: self.\(property) = nil")
    }
  }

  /// Prints what writes the member that is there as JSON.
  func printEncode(_ out: inout CodePrinter) {
    out.switchBlock("self.\(property)") { out in
      for member in members {
        out.print("case .\(member.name)(let value)?:")
        out.indented { $0.print("try out.member(\(member.jsonName), value)") }
      }
      out.print("case nil: break")
    }
  }
}
