/// A service as its methods' descriptions, the protocol that a server implements, and the client's
/// stub.
struct ServiceGenerator {
  /// A method with its names in Swift.
  private struct Method {
    let method: SchemaService.Method
    let name: String
    let request: String
    let response: String

    /// The case of `CallKind`, which is also the function of `Router`.
    var kind: String {
      switch (method.streamsRequests, method.streamsResponses) {
      case (false, false): "unary"
      case (true, false): "clientStreaming"
      case (false, true): "serverStreaming"
      case (true, true): "bidirectional"
      }
    }
  }

  private let service: SchemaService
  private let visibility: String
  private let prefix: String
  private let fileSchema: String
  private let methods: [Method]

  /// Resolves a service's messages; `fileSchema` names the schema's own description.
  init(
    _ service: SchemaService, prefix: String, fileSchema: String, visibility: String,
    types: SchemaTypes
  ) throws(GeneratorError) {
    self.service = service
    self.visibility = visibility
    self.fileSchema = fileSchema
    self.prefix = prefix + SwiftNames.upperCamel(service.name)
    var methods: [Method] = []
    for method in service.methods {
      let name = SwiftNames.lowerCamel(method.name)
      methods.append(
        Method(
          method: method,
          name: SwiftNames.identifier(SwiftNames.isReservedMethod(name) ? name + "_p" : name),
          request: try types.message(method.request).swiftName,
          response: try types.message(method.response).swiftName))
    }
    self.methods = methods
    guard Set(methods.map(\.name)).count == methods.count else {
      throw GeneratorError(service.fullName, "two methods get the same name in Swift")
    }
  }

  /// Prints all of it.
  func print(_ out: inout CodePrinter) {
    out.printDetached(service.comments)
    printMethods(&out)
    out.print("")
    printProtocol(&out)
    out.print("")
    printRegistration(&out)
    out.print("")
    printClient(&out)
  }

  private func printMethods(_ out: inout CodePrinter) {
    out.print("/// The methods of `\(service.fullName)`.")
    out.block("\(visibility)enum \(prefix)Methods") { out in
      for method in methods {
        out.printDocumentation(method.method.comments)
        out.print(
          "\(visibility)static let \(method.name) = Method<\(method.request), \(method.response)>(")
        let idempotent = method.method.isIdempotent ? ", isIdempotent: true" : ""
        out.indented { out in
          out.print(
            "service: \"\(service.fullName)\", name: \"\(method.method.name)\", kind: .\(method.kind)\(idempotent))"
          )
        }
        out.print("")
      }
      out.print("/// The service as its schema describes it.")
      out.print("\(visibility)static let service = ServiceDescription(")
      out.indented { out in
        out.print("name: \"\(service.fullName)\",", "methods: [")
        out.indented { out in
          for method in methods { out.print("\(method.name).description,") }
        }
        out.print("],", "fileDescriptor: FileSchema.\(fileSchema).descriptor)")
      }
    }
  }

  private func printProtocol(_ out: inout CodePrinter) {
    let documented = !service.comments.documentation.isEmpty
    out.printDocumentation(service.comments)
    if documented { out.print("///") }
    out.print("/// What a server of `\(service.fullName)` implements.")
    out.block("\(visibility)protocol \(prefix)Service: Service") { out in
      for (place, method) in methods.enumerated() {
        if place > 0 { out.print("") }
        out.printDocumentation(method.method.comments)
        out.print("func \(method.name)(")
        let request =
          method.method.streamsRequests
          ? "_ requests: MessageReader<\(method.request)>" : "_ request: \(method.request)"
        let responses =
          method.method.streamsResponses
          ? "responses: MessageWriter<\(method.response)>, " : ""
        let result = method.method.streamsResponses ? "" : " -> \(method.response)"
        out.indented { $0.print("\(request), \(responses)context: CallContext") }
        out.print(") async throws\(result)")
      }
    }
  }

  private func printRegistration(_ out: inout CodePrinter) {
    out.block("extension \(prefix)Service") { out in
      out.print(
        "/// The service as its schema describes it.",
        "\(visibility)static var description: ServiceDescription { \(prefix)Methods.service }", "",
        "/// Adds every method of the service to `router`.")
      out.block("\(visibility)func register(in router: inout Router)") { out in
        for method in methods {
          let request = method.method.streamsRequests ? "requests" : "request"
          let label = method.method.streamsResponses ? "responses, " : ""
          let argument = method.method.streamsResponses ? "responses: responses, " : ""
          out.block("router.\(method.kind)(\(prefix)Methods.\(method.name))") { out in
            out.print("\(request), \(label)context in")
            out.print("try await self.\(method.name)(\(request), \(argument)context: context)")
          }
        }
      }
    }
  }

  private func printClient(_ out: inout CodePrinter) {
    let documented = !service.comments.documentation.isEmpty
    out.printDocumentation(service.comments)
    if documented { out.print("///") }
    out.print("/// Calls `\(service.fullName)` over a channel.")
    out.block("\(visibility)struct \(prefix)Client: Sendable") { out in
      out.print(
        "/// Where the calls go.", "\(visibility)let channel: any CallChannel", "",
        "/// Makes a client over a channel.")
      out.block("\(visibility)init(_ channel: any CallChannel)") { out in
        out.print("self.channel = channel")
      }
      for method in methods {
        out.print("")
        out.printDocumentation(method.method.comments)
        printCall(&out, method)
      }
    }
  }

  private func printCall(_ out: inout CodePrinter, _ method: Method) {
    let options = "options: CallOptions = CallOptions()"
    let reader = "MessageReader<\(method.response)>"
    let writer = "MessageWriter<\(method.request)>"
    let path = "\(prefix)Methods.\(method.name)"
    let generic = method.method.streamsResponses ? "<Result: Sendable>" : ""
    let result = method.method.streamsResponses ? "Result" : method.response
    out.print("\(visibility)func \(method.name)\(generic)(")
    out.indented { out in
      switch method.kind {
      case "unary":
        out.print("_ request: \(method.request), \(options)")
      case "clientStreaming":
        out.print("\(options),", "_ send: @Sendable (\(writer)) async throws -> Void")
      case "serverStreaming":
        out.print(
          "_ request: \(method.request), \(options),",
          "_ receive: @Sendable (\(reader)) async throws -> Result")
      default:
        out.print("\(options),", "_ body: @Sendable (\(writer), \(reader)) async throws -> Result")
      }
    }
    out.block(") async throws -> \(result)") { out in
      switch method.kind {
      case "unary":
        out.print("try await channel.unary(\(path), request, options: options).message")
      case "clientStreaming":
        out.print("try await channel.clientStreaming(\(path), options: options, send)")
      case "serverStreaming":
        out.print("try await channel.serverStreaming(\(path), request, options: options, receive)")
      default:
        out.print("try await channel.stream(\(path), options: options, body)")
      }
    }
  }
}
