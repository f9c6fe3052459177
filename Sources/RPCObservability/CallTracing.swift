internal import Instrumentation
public import RPC
public import Tracing

/// Makes a span of each call and carries its context in the call's metadata, by the keys of the tracer's
/// own propagation, such as W3C's `traceparent` and `tracestate`.
///
/// Stands on either side: a client's span is the parent of the server's, whose handler's calls have it as
/// theirs.
public struct CallTracing<Backend: Tracer>: ClientInterceptor, ServerInterceptor {
  private let tracer: Backend

  /// Traces with `tracer`.
  public init(_ tracer: Backend) {
    self.tracer = tracer
  }

  /// Makes the call inside a span.
  public func intercept<Result: Sendable>(
    _ call: ClientCall, _ next: @Sendable (ClientCall) async throws -> Result
  ) async throws -> Result {
    try await tracer.withSpan(Self.name(call.path), ofKind: .client) { span in
      var call = call
      tracer.inject(span.context, into: &call.options.metadata, using: MetadataCarrier())
      return try await Self.marked(span, StatusCode.init(of:)) { try await next(call) }
    }
  }

  /// Serves the call inside a span, whose parent is the caller's.
  public func intercept(
    _ context: CallContext, _ next: @Sendable () async throws -> Void
  ) async throws {
    var parent = ServiceContext.topLevel
    tracer.extract(context.metadata, into: &parent, using: MetadataCarrier())
    try await tracer.withSpan(Self.name(context.path), context: parent, ofKind: .server) { span in
      try await Self.marked(span, { StatusCode(of: $0, in: context) }, next)
    }
  }

  private static func marked<Result>(
    _ span: Backend.Span, _ status: ((any Error)?) -> StatusCode,
    _ body: () async throws -> Result
  ) async throws -> Result {
    span.attributes["rpc.system"] = "holdfast"
    func mark(_ error: (any Error)?) {
      let status = status(error)
      if status != .ok { span.setStatus(SpanStatus(code: .error, message: "\(status)")) }
    }
    do {
      let result = try await body()
      mark(nil)
      return result
    } catch {
      mark(error)
      throw error
    }
  }

  /// `package.Service/Method`.
  private static func name(_ path: String) -> String {
    String(path.drop { $0 == "/" })
  }
}

/// Puts the context into metadata and finds it there.
private struct MetadataCarrier: Injector, Extractor {
  func inject(_ value: String, forKey key: String, into carrier: inout Metadata) {
    carrier.append(key.lowercased(), value)
  }

  func extract(key: String, from carrier: Metadata) -> String? {
    carrier[key.lowercased()]
  }
}
