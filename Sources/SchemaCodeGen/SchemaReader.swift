import Schema

/// Reads what protoc knows of a schema into what the generator works on.
struct SchemaReader {
  /// The numbers of fields in `descriptor.proto` that lead to declarations: the steps of a comment's
  /// path.
  private enum Step {
    static let fileMessage: Int32 = 4
    static let fileEnum: Int32 = 5
    static let fileService: Int32 = 6
    static let fileSyntax: Int32 = 12
    static let messageField: Int32 = 2
    static let messageNested: Int32 = 3
    static let messageEnum: Int32 = 4
    static let messageOneof: Int32 = 8
    static let enumValue: Int32 = 2
    static let serviceMethod: Int32 = 2
  }

  /// The numbers of our own options; see `holdfast/rpc/options.proto`.
  private enum Option {
    static let body: UInt32 = 50_700
    static let idempotent: UInt32 = 50_700
  }

  /// The comments of the file by their places.
  private let comments: [[Int32]: Comments]

  /// Reads a file.
  static func read(_ proto: Google_Protobuf_FileDescriptorProto) throws(GeneratorError)
    -> SchemaFile
  {
    let name = proto.name ?? ""
    let syntax = proto.syntax ?? "proto2"
    guard syntax == "proto2" || syntax == "proto3" else {
      throw GeneratorError(name, "the syntax \(syntax) is not supported; write proto3")
    }
    var bare = proto
    bare.sourceCodeInfo = nil
    let reader = SchemaReader(proto.sourceCodeInfo)
    let package = proto.package ?? ""
    let prefix = package.isEmpty ? "" : package + "."
    do {
      return SchemaFile(
        name: name, package: package, isProto3: syntax == "proto3",
        swiftPrefix: proto.options?.swiftPrefix, dependencies: proto.dependency,
        publicDependencies: proto.publicDependency.map(Int.init),
        messages: try reader.messages(proto.messageType, prefix, [Step.fileMessage]),
        enums: reader.enums(proto.enumType, prefix, [Step.fileEnum]),
        services: reader.services(proto.service, prefix),
        comments: reader.comments[[Step.fileSyntax]] ?? Comments(),
        descriptor: try bare.encodedBytes())
    } catch let error as GeneratorError {
      throw error
    } catch {
      throw GeneratorError(name, "\(error)")
    }
  }

  private init(_ info: Google_Protobuf_SourceCodeInfo?) {
    var comments: [[Int32]: Comments] = [:]
    for location in info?.location ?? [] {
      let found = Comments(
        leading: location.leadingComments ?? "", trailing: location.trailingComments ?? "",
        detached: location.leadingDetachedComments)
      if !found.isEmpty { comments[location.path] = found }
    }
    self.comments = comments
  }

  private func messages(
    _ protos: [Google_Protobuf_DescriptorProto], _ prefix: String, _ path: [Int32]
  ) throws(GeneratorError) -> [SchemaMessage] {
    var messages: [SchemaMessage] = []
    for (place, proto) in protos.enumerated() {
      messages.append(try message(proto, prefix, path + [Int32(place)]))
    }
    return messages
  }

  private func message(
    _ proto: Google_Protobuf_DescriptorProto, _ prefix: String, _ path: [Int32]
  ) throws(GeneratorError) -> SchemaMessage {
    let fullName = prefix + (proto.name ?? "")
    let inner = fullName + "."
    var fields: [SchemaField] = []
    for (place, field) in proto.field.enumerated() {
      let path = path + [Step.messageField, Int32(place)]
      fields.append(try self.field(field, of: fullName, comments[path] ?? Comments()))
    }
    let oneofs = proto.oneofDecl.enumerated().map { place, oneof in
      SchemaOneof(
        name: oneof.name ?? "",
        comments: comments[path + [Step.messageOneof, Int32(place)]] ?? Comments())
    }
    return SchemaMessage(
      name: proto.name ?? "", fullName: fullName, fields: fields, oneofs: oneofs,
      messages: try messages(proto.nestedType, inner, path + [Step.messageNested]),
      enums: enums(proto.enumType, inner, path + [Step.messageEnum]),
      isMapEntry: proto.options?.mapEntry ?? false,
      comments: comments[path] ?? Comments())
  }

  private func field(
    _ proto: Google_Protobuf_FieldDescriptorProto, of message: String, _ comments: Comments
  ) throws(GeneratorError) -> SchemaField {
    let name = proto.name ?? ""
    let place = "\(message).\(name)"
    guard let kind = proto.type.flatMap({ SchemaField.Kind(rawValue: $0.rawValue) }),
      let label = proto.label.flatMap({ SchemaField.Label(rawValue: $0.rawValue) }),
      let number = proto.number
    else { throw GeneratorError(place, "its type, label or number is missing or unknown") }
    return SchemaField(
      name: name, number: number, kind: kind, label: label,
      typeName: Self.withoutDot(proto.typeName), oneof: proto.oneofIndex.map(Int.init),
      isProto3Optional: proto.proto3Optional ?? false,
      jsonName: proto.jsonName ?? SwiftNames.lowerCamel(name), defaultValue: proto.defaultValue,
      isBody: proto.options?.unknownFields.bool(Option.body) ?? false, comments: comments)
  }

  private func enums(
    _ protos: [Google_Protobuf_EnumDescriptorProto], _ prefix: String, _ path: [Int32]
  ) -> [SchemaEnum] {
    protos.enumerated().map { place, proto in
      let path = path + [Int32(place)]
      let values = proto.value.enumerated().map { place, value in
        SchemaEnum.Value(
          name: value.name ?? "", number: value.number ?? 0,
          comments: comments[path + [Step.enumValue, Int32(place)]] ?? Comments())
      }
      return SchemaEnum(
        name: proto.name ?? "", fullName: prefix + (proto.name ?? ""), values: values,
        comments: comments[path] ?? Comments())
    }
  }

  private func services(
    _ protos: [Google_Protobuf_ServiceDescriptorProto], _ prefix: String
  ) -> [SchemaService] {
    protos.enumerated().map { place, proto in
      let path = [Step.fileService, Int32(place)]
      let methods = proto.method.enumerated().map { place, method in
        SchemaService.Method(
          name: method.name ?? "", request: Self.withoutDot(method.inputType),
          response: Self.withoutDot(method.outputType),
          streamsRequests: method.clientStreaming ?? false,
          streamsResponses: method.serverStreaming ?? false,
          isIdempotent: method.options?.unknownFields.bool(Option.idempotent) ?? false,
          comments: comments[path + [Step.serviceMethod, Int32(place)]] ?? Comments())
      }
      return SchemaService(
        name: proto.name ?? "", fullName: prefix + (proto.name ?? ""), methods: methods,
        comments: comments[path] ?? Comments())
    }
  }

  /// A full name as descriptors write it, without the dot that it begins with.
  private static func withoutDot(_ name: String?) -> String {
    guard let name else { return "" }
    return name.hasPrefix(".") ? String(name.dropFirst()) : name
  }
}
