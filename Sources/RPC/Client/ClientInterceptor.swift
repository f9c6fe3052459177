internal import Schema

/// A call that a client is about to make, as interceptors see and change it.
public struct ClientCall: Sendable {
  /// `/package.Service/Method`.
  public let path: String
  /// How many messages each side sends.
  public let kind: CallKind
  /// Metadata, timeout and limits.
  public var options: CallOptions
}

/// Something that stands around every call that a client makes: it sees it come and go, may change its
/// options, make it more than once, or fail it.
///
/// Messages pass it by. A stream's `next` returns when the whole call is over.
public protocol ClientInterceptor: Sendable {
  /// Makes the call by `next`.
  ///
  /// - Throws: what `next` throws, or an error of its own.
  func intercept<Result: Sendable>(
    _ call: ClientCall, _ next: @Sendable (ClientCall) async throws -> Result
  ) async throws -> Result
}

extension CallChannel {
  /// This channel with interceptors around each call, the first one outermost. Without any it is the
  /// channel itself, and calls cost what they did.
  public func intercepted(by interceptors: [any ClientInterceptor]) -> any CallChannel {
    interceptors.isEmpty ? self : InterceptedChannel(base: self, interceptors: interceptors)
  }
}

/// A channel with interceptors around each call.
private struct InterceptedChannel: CallChannel {
  let base: any CallChannel
  let interceptors: [any ClientInterceptor]

  var connectivity: AsyncStream<Connectivity> { base.connectivity }

  func unary<Request: Message, Response: Message>(
    _ method: Method<Request, Response>, _ request: Request, options: CallOptions
  ) async throws -> UnaryResponse<Response> {
    let call = ClientCall(path: method.path, kind: method.kind, options: options)
    return try await pass(call, interceptors[...]) { call in
      try await base.unary(method, request, options: call.options)
    }
  }

  func stream<Request: Message, Response: Message, Result: Sendable>(
    _ method: Method<Request, Response>, options: CallOptions,
    _ body: @Sendable (MessageWriter<Request>, MessageReader<Response>) async throws -> Result
  ) async throws -> Result {
    let call = ClientCall(path: method.path, kind: method.kind, options: options)
    return try await pass(call, interceptors[...]) { call in
      try await base.stream(method, options: call.options, body)
    }
  }

  func serverStreaming<Request: Message, Response: Message, Result: Sendable>(
    _ method: Method<Request, Response>, _ request: Request, options: CallOptions,
    _ receive: @Sendable (MessageReader<Response>) async throws -> Result
  ) async throws -> Result {
    let call = ClientCall(path: method.path, kind: method.kind, options: options)
    return try await pass(call, interceptors[...]) { call in
      try await base.serverStreaming(method, request, options: call.options, receive)
    }
  }

  private func pass<Result: Sendable>(
    _ call: ClientCall, _ rest: ArraySlice<any ClientInterceptor>,
    _ last: @Sendable (ClientCall) async throws -> Result
  ) async throws -> Result {
    guard let first = rest.first else { return try await last(call) }
    return try await first.intercept(call) { call in
      try await pass(call, rest.dropFirst(), last)
    }
  }
}
