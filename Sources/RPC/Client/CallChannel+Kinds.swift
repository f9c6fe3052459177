public import Schema

// The kinds of calls that generated stubs make, in terms of the channel's own two.
extension CallChannel {
  /// Makes a call of many requests and one response: `send` writes the requests. A server that answers
  /// before it has them all makes `send`'s next write throw `cancelled`; let it through, and the answer
  /// is what the call returns. `send` is run once, so a call that the server refuses after it was opened
  /// fails: what was to be sent may not be had again.
  ///
  /// - Throws: `RPCError`, or what `send` throws.
  public func clientStreaming<Request: Message, Response: Message>(
    _ method: Method<Request, Response>, options: CallOptions,
    _ send: @Sendable (MessageWriter<Request>) async throws -> Void
  ) async throws -> Response {
    try await stream(method, options: options) { writer, reader in
      do {
        try await send(writer)
      } catch let error as RPCError where error.code == .cancelled && writer.hasAnswer {
        // The server didn't need the rest.
      }
      try await writer.finish()
      guard let response = try await reader.next() else {
        throw RPCError(.internal, "\(method.path) ended without a response")
      }
      guard try await reader.next() == nil else {
        throw RPCError(.internal, "\(method.path) sent more than one response")
      }
      return response
    }
  }

  /// Makes the call as a stream of one request; `receive` is run once.
  public func serverStreaming<Request: Message, Response: Message, Result: Sendable>(
    _ method: Method<Request, Response>, _ request: Request, options: CallOptions,
    _ receive: @Sendable (MessageReader<Response>) async throws -> Result
  ) async throws -> Result {
    try await stream(method, options: options) { writer, reader in
      try await writer.write(request)
      try await writer.finish()
      return try await receive(reader)
    }
  }
}
