public import RPC
public import Schema

/// What a server says of itself by reflection: its services, and every schema that they need.
public struct ServerSchemas: Sendable {
  /// The most files that are taken.
  private static let maxFiles = 1_000

  /// Full names of the services.
  public private(set) var services: [String] = []
  /// The files, in the order in which they came.
  public private(set) var files: [Google_Protobuf_FileDescriptorProto] = []

  /// Asks a server.
  ///
  /// - Throws: `RPCError`, `unimplemented` when the server has no reflection.
  public static func fetch(
    from channel: any CallChannel, options: CallOptions = CallOptions()
  ) async throws -> ServerSchemas {
    try await ServerReflectionClient(channel).serverReflectionInfo(options: options) {
      requests, responses in
      var schemas = ServerSchemas()
      func ask(
        _ question: ServerReflectionRequest.OneOf_MessageRequest
      ) async throws -> ServerReflectionResponse.OneOf_MessageResponse {
        try await requests.write(ServerReflectionRequest(messageRequest: question))
        switch try await responses.next()?.messageResponse {
        case .errorResponse(let error)?:
          let code = StatusCode(rawValue: UInt8(clamping: error.errorCode)) ?? .unknown
          throw RPCError(code == .ok ? .unknown : code, error.errorMessage)
        case let answer?: return answer
        case nil: throw RPCError(.internal, "the server's reflection gave no answer")
        }
      }
      if case .listServicesResponse(let list) = try await ask(.listServices("")) {
        schemas.services = list.service.map(\.name)
      }
      for service in schemas.services {
        try schemas.take(try await ask(.fileContainingSymbol(service)))
      }
      while let name = schemas.missing {
        let before = schemas.files.count
        try schemas.take(try await ask(.fileByFilename(name)))
        guard schemas.files.count > before else {
          throw RPCError(.internal, "the server's reflection lacks the file \(name)")
        }
      }
      try await requests.finish()
      return schemas
    }
  }

  /// A file that another imports and that hasn't come.
  private var missing: String? {
    let known = Set(files.compactMap(\.name))
    return files.lazy.flatMap(\.dependency).first { !known.contains($0) }
  }

  private mutating func take(
    _ answer: ServerReflectionResponse.OneOf_MessageResponse
  ) throws {
    guard case .fileDescriptorResponse(let response) = answer else {
      throw RPCError(.internal, "the server's reflection answered another question")
    }
    for bytes in response.fileDescriptorProto {
      let file: Google_Protobuf_FileDescriptorProto
      do throws(SchemaError) {
        file = try Google_Protobuf_FileDescriptorProto(encodedBytes: bytes)
      } catch {
        throw RPCError(.internal, "the server's reflection sent a file that is none: \(error)")
      }
      guard !files.contains(where: { $0.name == file.name }) else { continue }
      guard files.count < Self.maxFiles else {
        throw RPCError(.resourceExhausted, "the server has more than \(Self.maxFiles) schemas")
      }
      files.append(file)
    }
  }
}
