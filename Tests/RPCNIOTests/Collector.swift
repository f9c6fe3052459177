import NIOCore
import RPC
import RPCNIO
import Synchronization

/// Keeps what comes in on a connection and lets a test wait for it.
final class Collector: ByteHandler {
  private struct State {
    var bytes: [UInt8] = []
    var isClosed = false
    var error: RPCError?
    var isWritable = true
    var left: UInt64 = 0
    var unsent = 0
    var waiters: [(isMet: @Sendable (State) -> Bool, resume: CheckedContinuation<Void, Never>)] = []
  }
  private let state = Mutex(State())
  private let onRead: @Sendable (ByteBuffer) -> Void
  private let expecting: @Sendable (Int) -> Int

  /// - Parameters:
  ///   - expecting: how many bytes are sure to follow those that have come in; at first as many as there may be.
  ///   - onRead: called with what comes in.
  init(
    expecting: @escaping @Sendable (Int) -> Int = { _ in 1 << 20 },
    onRead: @escaping @Sendable (ByteBuffer) -> Void = { _ in }
  ) {
    self.expecting = expecting
    self.onRead = onRead
  }

  var bytes: [UInt8] { state.withLock { $0.bytes } }
  var error: RPCError? { state.withLock { $0.error } }
  /// Bytes that have left, as was last told.
  var left: UInt64 { state.withLock { $0.left } }
  var isClosed: Bool { state.withLock { $0.isClosed } }

  func untilReceived(_ count: Int) async {
    await wait { $0.bytes.count >= count || $0.isClosed }
  }

  func untilClosed() async {
    await wait { $0.isClosed }
  }

  func untilNotWritable() async {
    await wait { !$0.isWritable }
  }

  /// Until it was told of unsent bytes, or of none.
  func untilUnsent(_ isUnsent: Bool) async {
    await wait { ($0.unsent > 0) == isUnsent }
  }

  func received(_ bytes: ByteBuffer) -> Int {
    change { $0.bytes += bytes.readableBytesView }
    onRead(bytes)
    return expecting(self.bytes.count)
  }

  func receivedAll() {}

  func writabilityChanged(_ isWritable: Bool) {
    change { $0.isWritable = isWritable }
  }

  func sent(_ left: UInt64, unsent: Int) {
    change {
      $0.left = left
      $0.unsent = unsent
    }
  }

  func closed(_ error: RPCError?) {
    change {
      $0.isClosed = true
      $0.error = error
    }
  }

  private func wait(_ isMet: @escaping @Sendable (State) -> Bool) async {
    await withCheckedContinuation { continuation in
      let isMetNow = state.withLock { state in
        if isMet(state) { return true }
        state.waiters.append((isMet, continuation))
        return false
      }
      if isMetNow { continuation.resume() }
    }
  }

  private func change(_ change: (inout State) -> Void) {
    let ready = state.withLock { state in
      change(&state)
      let waiters = state.waiters
      state.waiters = waiters.filter { !$0.isMet(state) }
      return waiters.filter { $0.isMet(state) }
    }
    for waiter in ready { waiter.resume.resume() }
  }
}

/// Two ends of one TCP connection over loopback, and the listener that it came through.
struct Pair {
  let listener: any ByteListener
  let client: any ByteConnection
  let server: any ByteConnection

  init(_ transport: NIOTransport = NIOTransport(), on address: String = "127.0.0.1:0") async throws
  {
    listener = try await transport.listen(on: Address(address))
    client = try await transport.connect(to: listener.address)
    guard let server = try await listener.accept() else { throw RPCError(.aborted, "closed") }
    self.server = server
  }

  func close() async {
    client.close()
    server.close()
    listener.close()
  }
}
