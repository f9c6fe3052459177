/// A message as a Swift struct with its adapter to and from the C struct.
struct MessageGenerator {
  /// A property of the struct.
  enum Member {
    case field(Property)
    case oneof(Oneof)
  }

  /// Well-known types whose JSON is written by hand, in the module `Schema`.
  private static let haveJSONOfTheirOwn: Set<String> = Set(
    [
      "Any", "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue", "BoolValue",
      "BytesValue", "DoubleValue", "FloatValue", "Int32Value", "Int64Value", "StringValue",
      "UInt32Value", "UInt64Value",
    ].map { "google.protobuf.\($0)" })

  let message: SchemaMessage
  let isProto3: Bool
  /// `public `, `package ` or empty.
  let visibility: String
  let types: SchemaTypes
  /// The struct's name, without those of the structs around it.
  let name: String
  /// The struct's properties, in the order of the schema; a oneof stands where its first field does.
  let members: [Member]
  /// The body field.
  let body: Property?

  /// Resolves a message's fields.
  init(
    _ message: SchemaMessage, isProto3: Bool, visibility: String, types: SchemaTypes
  ) throws(GeneratorError) {
    self.message = message
    self.isProto3 = isProto3
    self.visibility = visibility
    self.types = types
    let full = try types.message(message.fullName).swiftName
    name = full.split(separator: ".").last.map(String.init) ?? full
    var properties: [Property] = []
    for field in message.fields {
      properties.append(try Property(field, of: message, isProto3: isProto3, types: types))
    }
    var members: [Member] = []
    var begun: Set<Int> = []
    for property in properties {
      if property.shape != .member {
        members.append(.field(property))
      } else if let place = property.field.oneof, begun.insert(place).inserted {
        let fields = properties.filter { $0.field.oneof == place }
        members.append(.oneof(Oneof(message.oneofs[place], members: fields)))
      }
    }
    self.members = members
    body = properties.first { $0.field.isBody }
    guard properties.count(where: \.field.isBody) <= 1 else {
      throw GeneratorError(message.fullName, "has more than one body")
    }
    var names: Set<String> = []
    for member in members where !names.insert(member.name).inserted {
      throw GeneratorError(message.fullName, "two fields become the property \(member.name)")
    }
  }

  /// Prints the struct with everything in it.
  func print(_ out: inout CodePrinter) throws(GeneratorError) {
    out.printDetached(message.comments)
    out.printDocumentation(message.comments)
    try out.block("\(visibility)struct \(name): Message") { out throws(GeneratorError) in
      printProperties(&out)
      printInits(&out)
      for case .oneof(let oneof) in members {
        oneof.printDeclaration(&out, visibility: visibility)
      }
      try printNested(&out)
      printDescription(&out)
      try printFill(&out)
      try printRead(&out)
      guard !Self.haveJSONOfTheirOwn.contains(message.fullName) else { return }
      printJSONDecoding(&out)
      printJSONEncoding(&out)
    }
  }

  private func printProperties(_ out: inout CodePrinter) {
    for member in members {
      switch member {
      case .field(let property):
        out.printDocumentation(property.field.comments)
        let wrapper = property.isRecursive ? "@Indirect " : ""
        out.print("\(wrapper)\(visibility)var \(property.name): \(property.type)")
        if let text = property.field.defaultValue {
          let value = property.literal(ofDefault: text, types)
          out.print(
            "/// What `\(property.name)` stands for when it is nil.",
            "\(visibility)static var default\(SwiftNames.upperCamel(property.field.name)): "
              + "\(property.elementType) { \(value) }")
        }
      case .oneof(let oneof):
        out.printDocumentation(oneof.comments)
        out.print("\(visibility)var \(oneof.property): \(oneof.type)?")
      }
    }
    out.print("/// Fields that the schema doesn't know.")
    out.print("\(visibility)var unknownFields = UnknownFields()", "")
  }

  private func printInits(_ out: inout CodePrinter) {
    let arguments = members.map { (name: $0.name, type: $0.type, value: $0.defaultValue) }
    out.print("/// Every field at its default.")
    guard let first = arguments.first else {
      out.print("\(visibility)init() {}")
      return
    }
    out.block("\(visibility)init()") { out in
      out.print("self.init(\(SwiftNames.label(first.name)): \(first.value))")
    }
    out.print("", "/// The fields given, the others at their defaults.", "\(visibility)init(")
    out.indented { out in
      for (place, argument) in arguments.enumerated() {
        let comma = place == arguments.count - 1 ? "" : ","
        out.print("\(argument.name): \(argument.type) = \(argument.value)\(comma)")
      }
    }
    out.block(")") { out in
      for argument in arguments { out.print("self.\(argument.name) = \(argument.name)") }
    }
  }

  private func printNested(_ out: inout CodePrinter) throws(GeneratorError) {
    for declaration in message.enums {
      out.print("")
      try EnumGenerator(declaration, visibility: visibility, types: types).print(&out)
    }
    for nested in message.messages where !nested.isMapEntry {
      out.print("")
      let generator = try MessageGenerator(
        nested, isProto3: isProto3, visibility: visibility, types: types)
      try generator.print(&out)
    }
  }

  private func printDescription(_ out: inout CodePrinter) {
    let functions = CNames.functions(message.fullName)
    out.print(
      "", "/// protoc-c's struct of the message.",
      "\(visibility)typealias CStruct = \(CNames.type(message.fullName))",
      "/// `\(message.fullName)`.",
      "\(visibility)static var fullName: String { \"\(message.fullName)\" }",
      "/// What protobuf-c knows of the message.",
      "nonisolated(unsafe) \(visibility)static let cDescriptor = descriptorOfMessage(\(functions)__init)"
    )
    guard let body else { return }
    out.print(
      "/// The number of the field `\(body.field.name)`.",
      "\(visibility)static var bodyField: UInt32? { \(body.field.number) }",
      "/// The same as `\(body.bareName)`.")
    out.block("\(visibility)var messageBody: Body") { out in
      out.print("get { self.\(body.name) }", "set { self.\(body.name) = newValue }")
    }
  }
}

extension MessageGenerator.Member {
  /// The property's name.
  var name: String {
    switch self {
    case .field(let property): property.name
    case .oneof(let oneof): oneof.property
    }
  }

  /// The property's type.
  var type: String {
    switch self {
    case .field(let property): property.type
    case .oneof(let oneof): oneof.type + "?"
    }
  }

  /// The property's default.
  var defaultValue: String {
    switch self {
    case .field(let property): property.defaultValue
    case .oneof: "nil"
    }
  }
}
