public import Schema

/// Where a client's calls go: a connection that is made when needed, a pool of them, or a peer in this
/// process. Generated stubs are written against it.
public protocol CallChannel: Sendable {
  /// Whether there is a connection: the state of now, then each one that it changes to. A reader that
  /// is slow misses states, but never the last one. It ends with the channel.
  var connectivity: AsyncStream<Connectivity> { get }

  /// Makes a unary call.
  ///
  /// - Throws: `RPCError`.
  func unary<Request: Message, Response: Message>(
    _ method: Method<Request, Response>, _ request: Request, options: CallOptions
  ) async throws -> UnaryResponse<Response>

  /// Makes a call of any kind. `body` writes requests and reads responses; the call is over when it
  /// returns, and is cancelled when it throws or returns before the last response was read. `body` is run
  /// once: a call that is refused after it was opened fails, as its requests can't be had again.
  ///
  /// - Throws: `RPCError`, or what `body` throws.
  func stream<Request: Message, Response: Message, Result: Sendable>(
    _ method: Method<Request, Response>, options: CallOptions,
    _ body: @Sendable (MessageWriter<Request>, MessageReader<Response>) async throws -> Result
  ) async throws -> Result

  /// Makes a call of one request and many responses: `receive` reads the responses. It may be run more than
  /// once, each time from its beginning: when the server surely never began the call, and no response came.
  ///
  /// - Throws: `RPCError`, or what `receive` throws.
  func serverStreaming<Request: Message, Response: Message, Result: Sendable>(
    _ method: Method<Request, Response>, _ request: Request, options: CallOptions,
    _ receive: @Sendable (MessageReader<Response>) async throws -> Result
  ) async throws -> Result
}

/// A unary call's answer with the metadata around it.
public struct UnaryResponse<Response: Message>: Sendable {
  /// The answer.
  public var message: Response
  /// What came before it.
  public var metadata: Metadata
  /// What came after it.
  public var trailingMetadata: Metadata

  /// Makes an answer.
  public init(
    message: Response, metadata: Metadata = Metadata(), trailingMetadata: Metadata = Metadata()
  ) {
    self.message = message
    self.metadata = metadata
    self.trailingMetadata = trailingMetadata
  }
}
