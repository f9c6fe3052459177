internal import NIOCore
internal import RPC
internal import Synchronization

/// A listening socket.
final class SocketListener: ByteListener {
  let address: Address
  private let channel: any Channel
  private let arrivals: Arrivals
  private let file: UnixSocketFile?
  private let isClosing = Atomic(false)

  /// A listener whose `channel`, bound to `address`, puts what comes in into `arrivals`, and what goes wrong
  /// into `failure`; `file` is removed when it closes.
  init(
    address: Address, channel: any Channel, arrivals: Arrivals, failure: ListenerFailure,
    file: UnixSocketFile? = nil
  ) {
    self.address = address
    self.channel = channel
    self.arrivals = arrivals
    self.file = file
    channel.closeFuture.whenComplete { _ in
      file?.remove()
      let wasAsked = self.isClosing.load(ordering: .relaxed)
      arrivals.close(wasAsked ? nil : SocketErrors.accepting(at: address, failure.error))
    }
  }

  func accept() async throws -> (any ByteConnection)? {
    try await arrivals.next()
  }

  func close() {
    isClosing.store(true, ordering: .relaxed)
    // Whoever accepts hears of the end when the socket is closed: then its address is free again.
    arrivals.refuse()
    file?.remove()
    channel.close(promise: nil)
  }
}
