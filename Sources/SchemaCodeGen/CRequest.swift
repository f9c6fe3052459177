package import Schema

/// What protoc-gen-c 1.4 is told of schemas, so that it makes C of all of proto3.
///
/// It refuses proto3's `optional`: each such field stands in a oneof of its own, which protoc adds for
/// those who don't know the word, and so it is told of the oneof alone. And it makes C that doesn't
/// compile of some names: those fields get another name, in C only.
package enum CRequest {
  private typealias Request = Google_Protobuf_Compiler_CodeGeneratorRequest
  private typealias Response = Google_Protobuf_Compiler_CodeGeneratorResponse
  private typealias Message = Google_Protobuf_DescriptorProto

  /// The features that plugins tell protoc of: proto3's `optional`.
  static let features: UInt64 = 1

  /// Whether a request asks for C, by the parameter `output=c`.
  ///
  /// - Throws: `SchemaError` when it is no request.
  package static func isFor(_ request: [UInt8]) throws(SchemaError) -> Bool {
    let request = try Request(encodedBytes: request, limits: CodeGenerator.limits)
    return request.parameter == "output=c"
  }

  /// The request for protoc-gen-c.
  ///
  /// - Throws: `SchemaError` when it is none.
  package static func adapted(_ request: [UInt8]) throws(SchemaError) -> [UInt8] {
    var request = try Request(encodedBytes: request, limits: CodeGenerator.limits)
    request.parameter = nil
    for file in request.protoFile.indices {
      for message in request.protoFile[file].messageType.indices {
        adapt(&request.protoFile[file].messageType[message])
      }
    }
    return try request.encodedBytes()
  }

  private static func adapt(_ message: inout Message) {
    for field in message.field.indices {
      message.field[field].proto3Optional = nil
      let name = message.field[field].name ?? ""
      if CNames.isImpossible(member: name.lowercased()) { message.field[field].name = name + "_" }
    }
    for nested in message.nestedType.indices { adapt(&message.nestedType[nested]) }
  }

  /// protoc-gen-c's answer for protoc.
  ///
  /// - Throws: `SchemaError` when it is none.
  package static func answer(_ response: [UInt8]) throws(SchemaError) -> [UInt8] {
    var response = try Response(encodedBytes: response, limits: CodeGenerator.limits)
    response.supportedFeatures = features
    return try response.encodedBytes()
  }
}
