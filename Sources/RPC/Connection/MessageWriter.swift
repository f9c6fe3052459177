public import Schema

/// Where one side of a call sends its messages, in order. One task writes at a time.
public struct MessageWriter<Element: Message>: Sendable {
  let call: Call

  init(_ call: Call) {
    self.call = call
  }

  /// Sends a message; returns when the connection has taken all of it, which waits for the receiver's
  /// credit and for the transport, so that a fast writer holds one message and no more.
  ///
  /// - Throws: `RPCError`: how the call ended meanwhile, `resourceExhausted` when the message is larger
  ///   than the receiver takes, or `cancelled` when this task is cancelled.
  public func write(_ message: Element) async throws {
    try await call.connection.write(message, call)
  }

  /// Says that no more messages follow. On a server the call's end says it, so this does nothing there.
  ///
  /// - Throws: `RPCError`: how the call ended meanwhile.
  public func finish() async throws {
    try call.connection.finishWriting(call)
  }

  /// Client: whether the server has ended the call with success.
  var hasAnswer: Bool {
    call.connection.enter { _, _ in call.isOver && call.ending == nil }
  }
}
