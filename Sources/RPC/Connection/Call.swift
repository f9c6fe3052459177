internal import NIOCore
internal import Schema

/// One call on one side of a connection: what its reader and writer wait for.
///
/// Everything that changes is guarded by the lock of the connection, which alone touches it: that is
/// what makes this `Sendable`.
final class Call: @unchecked Sendable {
  let connection: Connection
  /// `/package.Service/Method`.
  let path: String
  /// When it ends by itself.
  let deadline: Instant?
  /// Server: what the caller sent before its first message.
  let requestMetadata: Metadata
  /// Server: when it came in.
  let began: Instant

  /// 0 until a client's call has one.
  var id: UInt32 = 0
  /// Messages that came in and were not taken.
  var inbound = InboundQueue()
  /// No more come in.
  var isInboundEnded = false
  /// The call is over, on a client with this; on a server the caller hears no more of it.
  var ending: RPCError?
  var isOver = false
  /// Client: the server surely never began it.
  var isUnprocessed = false
  /// Client: a place is kept for it, after it had to wait for one.
  var isAdmitted = false
  /// The message that waits in the outbox has gone, or there is none.
  var isWritten = true
  /// Who waits to read (or, on a client, for the end or for a free place).
  var reader: UnsafeContinuation<Void, Never>?
  /// Who waits for its message to go.
  var writer: UnsafeContinuation<Void, Never>?
  /// Client: what came. Server: what is to be sent.
  var headMetadata = Metadata()
  var trailingMetadata = Metadata()
  /// Server: HEAD has gone.
  var isHeadSent = false
  /// This side's last message has gone.
  var isOutboundEnded = false
  /// The most bytes of a message, when the caller set it.
  var maxMessageBytes: Int?
  /// Server: the handler's task while it runs.
  var task: UnsafeCurrentTask?
  /// Server: the task is to be cancelled as soon as it runs.
  var mustCancel = false
  /// Server: somebody is about to cancel the task, which therefore stays.
  var isCancelling = false
  /// Server: the handler, which waits for that.
  var leaver: UnsafeContinuation<Void, Never>?

  init(
    connection: Connection, path: String, deadline: Instant?,
    requestMetadata: Metadata = Metadata(),
    began: Instant = Instant(nanoseconds: 0)
  ) {
    self.began = began
    self.connection = connection
    self.path = path
    self.deadline = deadline
    self.requestMetadata = requestMetadata
  }

  /// Who may wait in a call.
  enum Side {
    case reader
    case writer
  }

  /// Who waits there.
  subscript(side: Side) -> UnsafeContinuation<Void, Never>? {
    get { side == .reader ? reader : writer }
    set {
      switch side {
      case .reader: reader = newValue
      case .writer: writer = newValue
      }
    }
  }
}
