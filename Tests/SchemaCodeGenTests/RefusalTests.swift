import Schema
import Testing

@testable import SchemaCodeGen

/// What can't be generated is answered with an error that names the place.
@Suite("Refusals")
struct RefusalTests {
  typealias Message = Google_Protobuf_DescriptorProto

  private func error(of response: Requests.Response) throws -> String {
    #expect(response.file.isEmpty)
    return try #require(response.error)
  }

  private func error(
    _ fields: [Requests.Field], syntax: String = "proto3", parameter: String = ""
  ) throws -> String {
    let message = Message(name: "M", field: fields)
    return try error(
      of: Requests.respond(messages: [message], syntax: syntax, parameter: parameter))
  }

  @Test("bytes that are no request are answered, not crashed on")
  func garbage() throws {
    for bytes: [UInt8] in [[0xff], [0x7a, 5, 1], Array(repeating: 0x80, count: 50)] {
      let response = try Requests.Response(encodedBytes: CodeGenerator.respond(to: bytes))
      #expect(try error(of: response).contains("no CodeGeneratorRequest"))
    }
  }

  @Test("a cut request is answered at every length")
  func truncated() throws {
    let bytes = try Requests.fixture("plugin").encodedBytes()
    for length in stride(from: 1, to: bytes.count, by: 997) {
      _ = try Requests.Response(encodedBytes: CodeGenerator.respond(to: Array(bytes[..<length])))
    }
  }

  @Test("a file that was not sent is missed")
  func missingFile() throws {
    let request = Requests.Request(fileToGenerate: ["gone.proto"])
    #expect(try error(of: Requests.respond(to: request)).contains("gone.proto"))
  }

  @Test("a field's type must be among the schemas")
  func unknownType() throws {
    let text = try error([Requests.field("f", 1, .message, typeName: ".p.Gone")])
    #expect(text.contains("p.Gone"))
  }

  @Test(
    "a body is a singular proto3 field of type bytes",
    arguments: [
      [Requests.field("f", 1, .string, isBody: true)],
      [Requests.field("f", 1, .bytes, label: .repeated, isBody: true)],
      [Requests.field("f", 1, .bytes, isBody: true), Requests.field("g", 2, .bytes, isBody: true)],
    ])
  func body(fields: [Requests.Field]) throws {
    let text = try error(fields)
    #expect(text.contains("p.M") && text.contains("body"))
  }

  @Test("groups, required messages and defaults of strings are refused")
  func unsupported() throws {
    #expect(try error([Requests.field("f", 1, .group)], syntax: "proto2").contains("groups"))
    var defaulted = Requests.field("f", 1, .string)
    defaulted.defaultValue = "x"
    #expect(try error([defaulted], syntax: "proto2").contains("defaults"))
    #expect(try error([Requests.field("f")], syntax: "editions").contains("syntax"))
  }

  @Test(
    "parameters are checked",
    arguments: [
      "visibility", "visibility=private", "colour=red", "module=a-b", "file_naming=short",
    ])
  func parameters(parameter: String) throws {
    #expect(try error([], parameter: parameter).contains("parameter"))
  }

  @Test("two values that become one case, and two methods of one name, are refused")
  func otherClashes() throws {
    let values = ["A_b", "A_B"].enumerated().map { place, name in
      Google_Protobuf_EnumValueDescriptorProto(name: name, number: Int32(place))
    }
    let declaration = Google_Protobuf_EnumDescriptorProto(name: "E", value: values)
    #expect(try error(of: Requests.respond(enums: [declaration])).contains("p.E"))
    let methods = ["GetIt", "get_it"].map { name in
      Google_Protobuf_MethodDescriptorProto(name: name, inputType: ".p.M", outputType: ".p.M")
    }
    let service = Google_Protobuf_ServiceDescriptorProto(name: "S", method: methods)
    let response = try Requests.respond(messages: [Message(name: "M")], services: [service])
    #expect(try error(of: response).contains("p.S"))
  }
}
