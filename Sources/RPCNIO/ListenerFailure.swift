internal import NIOCore
internal import Synchronization

/// What went wrong last with a listening socket, in case that ends it.
///
/// Errors that pass, such as too many open files or a client that has gone before it was accepted, come here as
/// well: after those the socket goes on, a second later.
final class ListenerFailure: ChannelInboundHandler, Sendable {
  typealias InboundIn = any Channel

  private let last = Mutex<(any Error)?>(nil)

  /// The error that came last.
  var error: (any Error)? { last.withLock { $0 } }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    last.withLock { $0 = error }
    context.fireErrorCaught(error)
  }
}
