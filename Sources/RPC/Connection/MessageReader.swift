public import Schema

/// The messages that the other side of a call sends, in order.
///
/// One task reads at a time. Credit goes back to the sender when a message is taken from here, so a
/// reader that stops reading stops its own call's sender and nobody else's.
public struct MessageReader<Element: Message>: AsyncSequence, Sendable {
  let call: Call

  init(_ call: Call) {
    self.call = call
  }

  /// The next message; nil once the other side has sent its last.
  ///
  /// - Throws: `RPCError`: how the call failed, or `cancelled` when this task is cancelled.
  public func next() async throws -> Element? {
    guard let message = try await call.connection.take(call) else { return nil }
    return try call.decode(message)
  }

  /// The only message of a side that sends one, read to the end.
  ///
  /// - Throws: `RPCError`: how the call failed; `invalidArgument` on a server and `internal` on a client
  ///   when there is none or more than one.
  public func only() async throws -> Element {
    let code = call.connection.role == .server ? StatusCode.invalidArgument : .internal
    return try call.decode(try await call.connection.takeOnly(call, code))
  }

  /// What the other side sent before its first message: on a client the response metadata, empty until
  /// the first message (or the end) was read; on a server the request's.
  public var metadata: Metadata {
    call.connection.enter { _, _ in
      call.connection.role == .server ? call.requestMetadata : call.headMetadata
    }
  }

  /// On a client, what the server sent with the end: empty until `next` returned nil.
  public var trailingMetadata: Metadata {
    call.connection.enter { _, _ in
      call.connection.role == .client && call.isOver ? call.trailingMetadata : Metadata()
    }
  }

  /// Reads the messages for `for try await`.
  public struct AsyncIterator: AsyncIteratorProtocol {
    let reader: MessageReader<Element>

    /// The next message; nil after the last.
    public mutating func next() async throws -> Element? {
      try await reader.next()
    }
  }

  /// Goes on where the last read stopped.
  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(reader: self)
  }
}
