/// Something that stands around every call that a server serves: it sees it come and go, and may refuse
/// it.
///
/// Messages pass it by. A unary response may have left when `next` returns, so that an error thrown after
/// that changes nothing for the caller.
public protocol ServerInterceptor: Sendable {
  /// Serves the call by `next`.
  ///
  /// - Throws: what `next` throws, or an error of its own, which ends the call.
  func intercept(
    _ context: CallContext, _ next: @Sendable () async throws -> Void
  ) async throws
}

extension Router {
  /// These methods with interceptors around each call, the first one outermost. Without any it is the
  /// router itself, and calls cost what they did.
  public func intercepted(by interceptors: [any ServerInterceptor]) -> Router {
    interceptors.reversed().reduce(self) { router, interceptor in
      router.mapRoutes { route in
        { call, context in
          try await interceptor.intercept(context) { try await route(call, context) }
        }
      }
    }
  }
}

/// Lets in whom its check lets in, and refuses others.
public struct CallAuthentication: ServerInterceptor {
  private let check: @Sendable (CallContext) async throws -> Void

  /// - Parameter check: looks at the call's metadata, its path and the peer's identity, which is that of
  ///   its TLS certificate; throws `RPCError`, `unauthenticated` when it isn't clear who calls and
  ///   `permissionDenied` when that one may not.
  public init(_ check: @escaping @Sendable (CallContext) async throws -> Void) {
    self.check = check
  }

  /// Checks, then serves.
  public func intercept(
    _ context: CallContext, _ next: @Sendable () async throws -> Void
  ) async throws {
    try await check(context)
    try await next()
  }
}

/// Adds what proves who calls.
public struct CallCredentials: ClientInterceptor {
  private let credentials: @Sendable (ClientCall) async throws -> Metadata

  /// - Parameter credentials: the metadata to add to a call, such as a token that it renews by itself.
  public init(_ credentials: @escaping @Sendable (ClientCall) async throws -> Metadata) {
    self.credentials = credentials
  }

  /// Adds the metadata, then makes the call.
  public func intercept<Result: Sendable>(
    _ call: ClientCall, _ next: @Sendable (ClientCall) async throws -> Result
  ) async throws -> Result {
    var call = call
    call.options.metadata.entries += try await credentials(call).entries
    return try await next(call)
  }
}
