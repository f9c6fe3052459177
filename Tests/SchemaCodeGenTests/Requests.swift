import Foundation
import Schema

@testable import SchemaCodeGen

/// What the tests feed the generator.
enum Requests {
  typealias Request = Google_Protobuf_Compiler_CodeGeneratorRequest
  typealias Response = Google_Protobuf_Compiler_CodeGeneratorResponse
  typealias File = Google_Protobuf_FileDescriptorProto
  typealias Message = Google_Protobuf_DescriptorProto
  typealias Field = Google_Protobuf_FieldDescriptorProto

  /// The repository's root.
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// A committed request, as protoc sent it.
  static func fixture(_ name: String) throws -> Request {
    let url = root.appending(path: "Tests/SchemaCodeGenTests/Fixtures/\(name).request")
    return try Request(encodedBytes: [UInt8](Data(contentsOf: url)))
  }

  /// What the generator answers, on the way that protoc takes.
  static func respond(to request: Request) throws -> Response {
    try Response(encodedBytes: CodeGenerator.respond(to: request.encodedBytes()))
  }

  /// What the generator answers to one proto3 file of these messages.
  static func respond(
    messages: [Message] = [], enums: [Google_Protobuf_EnumDescriptorProto] = [],
    services: [Google_Protobuf_ServiceDescriptorProto] = [], syntax: String = "proto3",
    parameter: String = ""
  ) throws -> Response {
    let file = File(
      name: "a/b.proto", package: "p", messageType: messages, enumType: enums, service: services,
      syntax: syntax)
    return try respond(
      to: Request(fileToGenerate: ["a/b.proto"], parameter: parameter, protoFile: [file]))
  }

  /// An optional field.
  static func field(
    _ name: String, _ number: Int32 = 1, _ type: Field.TypeEnum = .int32, typeName: String? = nil,
    label: Field.Label = .optional, isBody: Bool = false
  ) -> Field {
    var bodyOption = Google_Protobuf_FieldOptions()
    bodyOption.unknownFields = UnknownFields([.init(number: 50_700, wireType: 0, bytes: [1])])
    return Field(
      name: name, number: number, label: label, type: type, typeName: typeName, jsonName: name,
      options: isBody ? bodyOption : nil)
  }
}
