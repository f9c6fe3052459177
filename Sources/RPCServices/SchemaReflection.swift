internal import RPC

/// Answers what the server offers and of what its messages consist.
struct SchemaReflection: ServerReflectionService {
  /// Full names of the services.
  let services: [String]
  let schemas: SchemaFiles

  func serverReflectionInfo(
    _ requests: MessageReader<ServerReflectionRequest>,
    responses: MessageWriter<ServerReflectionResponse>, context: CallContext
  ) async throws {
    var sent: Set<String> = []
    while let request = try await requests.next() {
      try await responses.write(
        ServerReflectionResponse(
          validHost: request.host, originalRequest: request,
          messageResponse: answer(to: request, sent: &sent)))
    }
  }

  private func answer(
    to request: ServerReflectionRequest, sent: inout Set<String>
  ) -> ServerReflectionResponse.OneOf_MessageResponse {
    switch request.messageRequest {
    case .listServices?:
      .listServicesResponse(
        ListServiceResponse(service: services.map { ServiceResponse(name: $0) }))
    case .fileByFilename(let name)?:
      file(name, "there is no file \(name) here", &sent)
    case .fileContainingSymbol(let name)?:
      file(schemas.symbols[name] ?? "", "nothing here is named \(name)", &sent)
    case .fileContainingExtension?, .allExtensionNumbersOfType?:
      failure(.unimplemented, "extensions can't be asked for")
    case nil: failure(.invalidArgument, "the request asks for nothing that is known here")
    }
  }

  private func file(
    _ name: String, _ text: String, _ sent: inout Set<String>
  ) -> ServerReflectionResponse.OneOf_MessageResponse {
    guard let file = schemas.files[name] else { return failure(.notFound, text) }
    var closure = schemas.closure(of: name, known: &sent)
    // What was asked for is answered, even when it was sent before.
    if closure.isEmpty { closure = [file.descriptor] }
    return .fileDescriptorResponse(FileDescriptorResponse(fileDescriptorProto: closure))
  }

  private func failure(
    _ code: StatusCode, _ text: String
  ) -> ServerReflectionResponse.OneOf_MessageResponse {
    .errorResponse(ErrorResponse(errorCode: Int32(code.rawValue), errorMessage: text))
  }
}
