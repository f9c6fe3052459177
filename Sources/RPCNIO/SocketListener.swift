internal import NIOCore
internal import RPC

/// A listening TCP socket.
final class SocketListener: ByteListener {
  let address: Address
  private let channel: any Channel
  private let arrivals: Arrivals

  /// A listener whose `channel`, bound to `address`, puts what comes in into `arrivals`.
  init(address: Address, channel: any Channel, arrivals: Arrivals) {
    self.address = address
    self.channel = channel
    self.arrivals = arrivals
    channel.closeFuture.whenComplete { _ in arrivals.close() }
  }

  func accept() async throws -> (any ByteConnection)? {
    try await arrivals.next()
  }

  func close() {
    arrivals.close()
    channel.close(promise: nil)
  }
}
