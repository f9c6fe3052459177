public import Schema

/// Message and enum types by name, from descriptors that came when the program ran.
public struct DynamicSchema: Sendable {
  /// A message's type.
  struct MessageType: Sendable {
    var name: String
    var fields: [Field]
    var isMapEntry: Bool
    /// Names of the oneofs, which fields name by their place.
    var oneofs: [String]
  }

  /// A field of a message.
  struct Field: Sendable {
    var name: String
    var jsonName: String
    var number: UInt32
    var kind: Google_Protobuf_FieldDescriptorProto.TypeEnum
    /// The message's or enum's full name; empty for scalars.
    var typeName: String
    var isRepeated: Bool
    var oneof: Int?
    /// Whether a value that is there is written even when it is the default.
    var hasPresence: Bool
  }

  /// A method with its messages' types.
  public struct Method: Sendable, Hashable {
    /// The request's full name.
    public var request: String
    /// The response's full name.
    public var response: String
    /// Whether many requests are sent.
    public var isClientStreaming: Bool
    /// Whether many responses are sent.
    public var isServerStreaming: Bool
  }

  private(set) var messages: [String: MessageType] = [:]
  /// Enums: numbers by name, and the first name of each number.
  private(set) var enums: [String: (numbers: [String: Int32], names: [Int32: String])] = [:]
  private var methods: [String: Method] = [:]

  /// Reads what the files declare.
  public init(_ files: [Google_Protobuf_FileDescriptorProto]) {
    for file in files {
      let scope = file.package.map { $0.isEmpty ? "" : $0 + "." } ?? ""
      for message in file.messageType { add(message, scope, isProto3: file.syntax == "proto3") }
      for value in file.enumType { add(value, scope) }
      for service in file.service {
        for method in service.method {
          methods["/\(scope)\(service.name ?? "")/\(method.name ?? "")"] = Method(
            request: Self.bare(method.inputType), response: Self.bare(method.outputType),
            isClientStreaming: method.clientStreaming ?? false,
            isServerStreaming: method.serverStreaming ?? false)
        }
      }
    }
  }

  /// The method with this path, `/package.Service/Method`; nil when no file declares it.
  public func method(_ path: String) -> Method? {
    methods[path]
  }

  private mutating func add(
    _ message: Google_Protobuf_DescriptorProto, _ scope: String, isProto3: Bool
  ) {
    let name = scope + (message.name ?? "")
    messages[name] = MessageType(
      name: name, fields: message.field.compactMap { Self.field($0, isProto3: isProto3) },
      isMapEntry: message.options?.mapEntry ?? false,
      oneofs: message.oneofDecl.map { $0.name ?? "" })
    for nested in message.nestedType { add(nested, name + ".", isProto3: isProto3) }
    for value in message.enumType { add(value, name + ".") }
  }

  private mutating func add(_ value: Google_Protobuf_EnumDescriptorProto, _ scope: String) {
    let pairs = value.value.map { ($0.name ?? "", $0.number ?? 0) }
    enums[scope + (value.name ?? "")] = (
      Dictionary(pairs, uniquingKeysWith: { first, _ in first }),
      Dictionary(pairs.map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    )
  }

  private static func field(
    _ field: Google_Protobuf_FieldDescriptorProto, isProto3: Bool
  ) -> Field? {
    guard let name = field.name, let number = field.number, number > 0, let kind = field.type else {
      return nil
    }
    return Field(
      name: name, jsonName: field.jsonName ?? camelCase(name), number: UInt32(number), kind: kind,
      typeName: bare(field.typeName), isRepeated: field.label == .repeated,
      oneof: field.oneofIndex.map { Int($0) },
      hasPresence: !isProto3 || field.oneofIndex != nil || kind == .message)
  }

  /// A type's name without the dot that descriptors put before it.
  private static func bare(_ name: String?) -> String {
    String((name ?? "").drop { $0 == "." })
  }

  /// The name in JSON, where the descriptor doesn't say it.
  private static func camelCase(_ name: String) -> String {
    var result = ""
    var isNext = false
    for character in name {
      if character == "_" {
        isNext = true
      } else {
        result += isNext ? character.uppercased() : String(character)
        isNext = false
      }
    }
    return result
  }
}
