import Schema

/// Everything that a set of schemas declares, by name: what `holdfast rpc describe` looks into.
struct SchemaIndex {
  /// One thing that a schema declares.
  struct Declaration: Equatable {
    /// In full, such as `holdfast.v1.Manifest` or `holdfast.v1.Node/PutChunk`.
    var name: String
    /// `service`, `method`, `message` or `enum`.
    var kind: String
    /// What it consists of.
    var members: [Member]

    /// As it would stand in a schema.
    var lines: [String] {
      ["\(kind) \(name) {"] + members.map { "  \($0.text)" } + ["}"]
    }

    /// As one object.
    var json: JSON {
      .of([
        "name": .string(name), "kind": .string(kind), "members": .array(members.map(\.json)),
      ])
    }
  }

  /// A field, a method or a value.
  struct Member: Equatable {
    var name: String
    var text: String
    var json: JSON
  }

  private var declarations: [Declaration] = []

  /// Gathers what the files declare.
  init(_ files: [Google_Protobuf_FileDescriptorProto]) {
    for file in files {
      let scope = file.package ?? ""
      for service in file.service { add(service, scope) }
      for message in file.messageType { add(message, scope) }
      for value in file.enumType { add(value, scope) }
    }
  }

  /// The declarations with this name: in full, or all whose last parts it is.
  func find(_ name: String) -> [Declaration] {
    let wanted = name.hasPrefix("/") ? String(name.dropFirst()) : name
    let exact = declarations.filter { $0.name == wanted }
    guard exact.isEmpty else { return exact }
    return declarations.filter {
      $0.name.hasSuffix("." + wanted) || $0.name.hasSuffix("/" + wanted)
        || $0.name.replacing("/", with: ".").hasSuffix("." + wanted)
        || $0.name.replacing("/", with: ".") == wanted
    }
  }

  private mutating func add(_ service: Google_Protobuf_ServiceDescriptorProto, _ scope: String) {
    let full = Self.join(scope, service.name ?? "")
    var members: [Member] = []
    var methods: [Declaration] = []
    for method in service.method {
      let name = method.name ?? ""
      let request = Self.stream(method.clientStreaming) + Self.bare(method.inputType)
      let response = Self.stream(method.serverStreaming) + Self.bare(method.outputType)
      let member = Member(
        name: name, text: "rpc \(name)(\(request)) returns (\(response));",
        json: .of([
          "name": .string(name), "request": .string(Self.bare(method.inputType)),
          "response": .string(Self.bare(method.outputType)),
          "client_streaming": .bool(method.clientStreaming ?? false),
          "server_streaming": .bool(method.serverStreaming ?? false),
        ]))
      members.append(member)
      methods.append(Declaration(name: "\(full)/\(name)", kind: "method", members: [member]))
    }
    declarations.append(Declaration(name: full, kind: "service", members: members))
    declarations += methods
  }

  private mutating func add(_ message: Google_Protobuf_DescriptorProto, _ scope: String) {
    let full = Self.join(scope, message.name ?? "")
    let oneofs = message.oneofDecl.map { $0.name ?? "" }
    let entries = Dictionary(
      message.nestedType.filter { $0.options?.mapEntry ?? false }.map {
        (Self.join(full, $0.name ?? ""), $0)
      }, uniquingKeysWith: { first, _ in first })
    let members = message.field.map { Self.member($0, oneofs: oneofs, entries: entries) }
    declarations.append(Declaration(name: full, kind: "message", members: members))
    for nested in message.nestedType where !(nested.options?.mapEntry ?? false) {
      add(nested, full)
    }
    for value in message.enumType { add(value, full) }
  }

  private mutating func add(_ value: Google_Protobuf_EnumDescriptorProto, _ scope: String) {
    let members = value.value.map { value in
      let name = value.name ?? ""
      let number = value.number ?? 0
      return Member(
        name: name, text: "\(name) = \(number);",
        json: .of(["name": .string(name), "number": .integer(Int64(number))]))
    }
    declarations.append(
      Declaration(name: Self.join(scope, value.name ?? ""), kind: "enum", members: members))
  }

  private static func member(
    _ field: Google_Protobuf_FieldDescriptorProto, oneofs: [String],
    entries: [String: Google_Protobuf_DescriptorProto]
  ) -> Member {
    let name = field.name ?? ""
    let number = field.number ?? 0
    let entry = entries[bare(field.typeName)]
    let isRepeated = field.label == .repeated && entry == nil
    let type =
      entry.map { entry in
        "map<\(entry.field.map(typeName).joined(separator: ", "))>"
      } ?? typeName(field)
    let oneof = field.oneofIndex.flatMap { Int($0) < oneofs.count ? oneofs[Int($0)] : nil }
    let comment = oneof.map { "  // one of \($0)" } ?? ""
    return Member(
      name: name, text: "\(isRepeated ? "repeated " : "")\(type) \(name) = \(number);\(comment)",
      json: .of([
        "name": .string(name), "number": .integer(Int64(number)), "type": .string(type),
        "repeated": .bool(isRepeated), "oneof": oneof.map { .string($0) } ?? .null,
      ]))
  }

  private static func typeName(_ field: Google_Protobuf_FieldDescriptorProto) -> String {
    if let named = field.typeName, !named.isEmpty { return bare(named) }
    return switch field.type {
    case .double: "double"
    case .float: "float"
    case .int64: "int64"
    case .uint64: "uint64"
    case .int32: "int32"
    case .fixed64: "fixed64"
    case .fixed32: "fixed32"
    case .bool: "bool"
    case .string: "string"
    case .bytes: "bytes"
    case .uint32: "uint32"
    case .sfixed32: "sfixed32"
    case .sfixed64: "sfixed64"
    case .sint32: "sint32"
    case .sint64: "sint64"
    default: "unknown"
    }
  }

  private static func stream(_ streams: Bool?) -> String {
    streams ?? false ? "stream " : ""
  }

  private static func join(_ scope: String, _ name: String) -> String {
    scope.isEmpty ? name : "\(scope).\(name)"
  }

  /// A type's name without the dot that descriptors put before it.
  private static func bare(_ name: String?) -> String {
    let name = name ?? ""
    return name.hasPrefix(".") ? String(name.dropFirst()) : name
  }
}
