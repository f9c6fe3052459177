internal import NIOCore

/// Which end of a connection this is.
enum ConnectionRole: Sendable, Hashable {
  /// Connected, and makes calls.
  case client
  /// Accepted, and answers them.
  case server
}

/// What must happen because something came in.
enum ConnectionAction: Sendable, Hashable {
  case nothing
  /// The peer's preface came: frames may be sent.
  case ready
  /// Server: run a handler; when `message` or `isEnded` is there, they came with the call.
  case open(UInt32, CallOpening, message: InboundMessage?, isEnded: Bool)
  /// Server: answer a CALL that opened nothing.
  case reject(UInt32, CallEnding, isRefusal: Bool)
  /// Client: the response metadata came.
  case head(UInt32, Metadata)
  /// A message came, the peer's last one came, or both.
  case message(UInt32, InboundMessage?, isEnded: Bool)
  /// Client: the call is over; the last response may have come with its end.
  case end(UInt32, CallEnding, InboundMessage?)
  /// Client: the server never began the call.
  case refused(UInt32, CallEnding)
  /// Server: the client wants no more of the call.
  case cancelled(UInt32, CallEnding)
  /// The peer broke a rule of the call, which is over: say so with END or CANCEL (`isOver`: the peer's
  /// own END was the fault, so don't).
  case callFailed(UInt32, CallEnding, isOver: Bool)
  /// There is more credit: what waits may go.
  case creditGrew
  /// Answer a ping.
  case pong(UInt64)
  /// Server: the client has heard of the drain, so that it makes no new calls.
  case drainHeard
  /// Client: no new calls here; these were surely not begun.
  case goAway(CallEnding, notBegun: [UInt32])
  /// The peer closes the connection because of this.
  case peerFailed(CallEnding)
}
