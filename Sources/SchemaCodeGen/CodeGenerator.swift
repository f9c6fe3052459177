package import Schema

/// The generator: what protoc knows of schemas goes in, Swift's text comes out.
///
/// Pure: no files, no environment, and the same output for the same input.
package enum CodeGenerator {
  /// What a request may be, in bytes: schemas with their comments, never more than a few MiB.
  static let limits = DecodingLimits(bytes: 256 << 20, memory: 4 << 30)

  /// Answers a serialized `CodeGeneratorRequest` with a serialized `CodeGeneratorResponse`.
  ///
  /// What is wrong with the request or the schemas stands in the response's `error`, which protoc
  /// prints.
  ///
  /// - Throws: `SchemaError` when the response can't be encoded, which no schema brings about.
  package static func respond(to request: [UInt8]) throws(SchemaError) -> [UInt8] {
    var response: Google_Protobuf_Compiler_CodeGeneratorResponse
    do {
      response = try self.response(
        to: Google_Protobuf_Compiler_CodeGeneratorRequest(encodedBytes: request, limits: limits))
    } catch let error as GeneratorError {
      response = Google_Protobuf_Compiler_CodeGeneratorResponse(error: error.description)
    } catch {
      response = Google_Protobuf_Compiler_CodeGeneratorResponse(
        error: "the input is no CodeGeneratorRequest: \(error)")
    }
    return try response.encodedBytes()
  }

  /// Generates a file for each schema that the request names.
  private static func response(
    to request: Google_Protobuf_Compiler_CodeGeneratorRequest
  ) throws(GeneratorError) -> Google_Protobuf_Compiler_CodeGeneratorResponse {
    let options = try GeneratorOptions(parameter: request.parameter ?? "")
    var files: [SchemaFile] = []
    for proto in request.protoFile { files.append(try SchemaReader.read(proto)) }
    let types = try SchemaTypes(files)
    var response = Google_Protobuf_Compiler_CodeGeneratorResponse(
      supportedFeatures: CRequest.features)
    for name in request.fileToGenerate {
      guard let file = files.first(where: { $0.name == name }) else {
        throw GeneratorError(name, "protoc asks for this file but did not send it")
      }
      response.file.append(
        Google_Protobuf_Compiler_CodeGeneratorResponse.File(
          name: options.outputPath(of: name),
          content: try FileGenerator(file, options: options, types: types).generate()))
    }
    return response
  }
}
