internal import NIOCore
internal import RPC

/// A listening socket.
final class SocketListener: ByteListener {
  let address: Address
  private let channel: any Channel
  private let arrivals: Arrivals
  private let file: UnixSocketFile?

  /// A listener whose `channel`, bound to `address`, puts what comes in into `arrivals`; `file` is removed
  /// when it closes.
  init(
    address: Address, channel: any Channel, arrivals: Arrivals, file: UnixSocketFile? = nil
  ) {
    self.address = address
    self.channel = channel
    self.arrivals = arrivals
    self.file = file
    channel.closeFuture.whenComplete { _ in
      file?.remove()
      arrivals.close()
    }
  }

  func accept() async throws -> (any ByteConnection)? {
    try await arrivals.next()
  }

  func close() {
    // Whoever accepts hears of the end when the socket is closed: then its address is free again.
    arrivals.refuse()
    file?.remove()
    channel.close(promise: nil)
  }
}
