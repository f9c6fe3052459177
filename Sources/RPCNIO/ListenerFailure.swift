internal import NIOCore
internal import Synchronization

/// What went wrong last with a listening socket, in case that ends it.
///
/// Errors that pass, such as too many open files or a client that has gone before it was accepted, come here as
/// well. After those the socket rests for a moment: SwiftNIO's own backing off has no effect where the first
/// connection that is accepted fails, and an event loop would be busy with nothing else.
final class ListenerFailure: ChannelInboundHandler, Sendable {
  typealias InboundIn = any Channel

  /// How long the socket rests.
  private static let rest = TimeAmount.milliseconds(100)

  private let last = Mutex<(any Error)?>(nil)
  private let isResting = Atomic(false)

  /// The error that came last.
  var error: (any Error)? { last.withLock { $0 } }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    last.withLock { $0 = error }
    context.fireErrorCaught(error)
    guard error is IOError,
      isResting.compareExchange(
        expected: false, desired: true, ordering: .relaxed
      ).exchanged
    else { return }
    let channel = context.channel
    channel.setOption(.autoRead, value: false).whenComplete { _ in
      channel.eventLoop.scheduleTask(in: Self.rest) {
        self.isResting.store(false, ordering: .relaxed)
        channel.setOption(.autoRead, value: true).whenComplete { _ in }
      }
    }
  }
}
