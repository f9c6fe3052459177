public import Schema

/// How many messages each side of a call sends.
public enum CallKind: Sendable, Hashable, CaseIterable {
  /// One request, one response.
  case unary
  /// Many requests, one response.
  case clientStreaming
  /// One request, many responses.
  case serverStreaming
  /// Many requests, many responses, in any order.
  case bidirectional
}

/// A method of a service, with its messages' types: what stubs and routers agree on.
public struct Method<Request: Message, Response: Message>: Sendable {
  /// `package.Service`.
  public let service: String
  /// The method's name as in the schema, such as `PutChunk`.
  public let name: String
  /// How many messages each side sends.
  public let kind: CallKind
  /// Whether two calls have the effect of one, so that the client may retry on its own.
  public let isIdempotent: Bool
  /// `/package.Service/Method`: the method's name in frames.
  public let path: String

  /// Describes a method; generated code does.
  public init(service: String, name: String, kind: CallKind, isIdempotent: Bool = false) {
    self.service = service
    self.name = name
    self.kind = kind
    self.isIdempotent = isIdempotent
    self.path = "/\(service)/\(name)"
  }

  /// The same without its messages' types in its own.
  public var description: MethodDescription {
    MethodDescription(
      path: path, name: name, kind: kind, isIdempotent: isIdempotent, request: Request.self,
      response: Response.self)
  }
}

/// A method whose messages are known only when the program runs.
public struct MethodDescription: Sendable {
  /// `/package.Service/Method`.
  public let path: String
  /// The method's name as in the schema.
  public let name: String
  /// How many messages each side sends.
  public let kind: CallKind
  /// Whether two calls have the effect of one.
  public let isIdempotent: Bool
  /// The requests' type.
  public let request: any Message.Type
  /// The responses' type.
  public let response: any Message.Type
}

/// A service as its schema describes it.
public struct ServiceDescription: Sendable {
  /// `package.Service`.
  public let name: String
  /// Its methods, in the schema's order.
  public let methods: [MethodDescription]
  /// The serialized `FileDescriptorProto` of the file that declares it.
  public let fileDescriptor: [UInt8]

  /// Describes a service; generated code does.
  public init(name: String, methods: [MethodDescription], fileDescriptor: [UInt8]) {
    self.name = name
    self.methods = methods
    self.fileDescriptor = fileDescriptor
  }
}
