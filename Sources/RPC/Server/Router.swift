public import Schema

/// Which handler serves which method: what a server answers with. A path that isn't here is answered
/// with `unimplemented`.
public struct Router: Sendable {
  /// What a server runs for a call: reads requests, writes responses, ends the call.
  typealias Route = @Sendable (Call, CallContext) async throws -> Void

  /// By path.
  private(set) var routes: [String: Route] = [:]
  /// What was registered, in order.
  public private(set) var services: [ServiceDescription] = []

  /// Serves nothing yet.
  public init() {}

  /// Serves `services`.
  public init(_ services: [any Service]) {
    for service in services {
      register(service)
    }
  }

  /// The same methods, each served by what `change` makes of how it was.
  func mapRoutes(_ change: (@escaping Route) -> Route) -> Router {
    var router = self
    router.routes = routes.mapValues(change)
    return router
  }

  /// Adds a service.
  public mutating func register(_ service: any Service) {
    services.append(type(of: service).description)
    service.register(in: &self)
  }

  /// Adds a unary method.
  public mutating func unary<Request: Message, Response: Message>(
    _ method: Method<Request, Response>,
    _ handler: @escaping @Sendable (Request, CallContext) async throws -> Response
  ) {
    routes[method.path] = { call, context in
      let request = try await MessageReader<Request>(call).only()
      try await call.connection.respond(handler(request, context), call)
    }
  }

  /// Adds a method with many requests and one response.
  public mutating func clientStreaming<Request: Message, Response: Message>(
    _ method: Method<Request, Response>,
    _ handler: @escaping @Sendable (MessageReader<Request>, CallContext) async throws -> Response
  ) {
    routes[method.path] = { call, context in
      let response = try await handler(MessageReader<Request>(call), context)
      try await call.connection.respond(response, call)
    }
  }

  /// Adds a method with one request and many responses.
  public mutating func serverStreaming<Request: Message, Response: Message>(
    _ method: Method<Request, Response>,
    _ handler:
      @escaping @Sendable (Request, MessageWriter<Response>, CallContext) async throws ->
      Void
  ) {
    routes[method.path] = { call, context in
      let request = try await MessageReader<Request>(call).only()
      try await handler(request, MessageWriter<Response>(call), context)
    }
  }

  /// Adds a method with many requests and many responses.
  public mutating func bidirectional<Request: Message, Response: Message>(
    _ method: Method<Request, Response>,
    _ handler:
      @escaping @Sendable (MessageReader<Request>, MessageWriter<Response>, CallContext)
      async throws -> Void
  ) {
    routes[method.path] = { call, context in
      try await handler(MessageReader<Request>(call), MessageWriter<Response>(call), context)
    }
  }
}
