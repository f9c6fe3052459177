import NIOCore
import Synchronization

@testable import RPC

/// A client or server that is made of frames: what comes in waits to be looked at.
final class RawPeer: ByteHandler {
  private struct State {
    var decoder = FrameDecoder(settings: PeerSettings())
    var events: [FrameDecoder.Event] = []
    var isClosed = false
    var reader: CheckedContinuation<Void, Never>?
  }

  let bytes: any ByteConnection
  private let state = Mutex(State())

  /// Serves the connection, on which it takes what `settings` say, and runs `body`, then closes it. Unless
  /// `hasPreface` the body is to send that.
  static func with(
    _ bytes: any ByteConnection, settings: PeerSettings = PeerSettings(), hasPreface: Bool = true,
    _ body: @escaping @Sendable (RawPeer) async throws -> Void
  ) async throws {
    let peer = RawPeer(bytes)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await bytes.run() }
      bytes.start(peer)
      if hasPreface { bytes.write([settings.preface]) }
      defer { bytes.close() }
      try await body(peer)
    }
  }

  private init(_ bytes: any ByteConnection) {
    self.bytes = bytes
  }

  func send(_ frames: ByteBuffer...) {
    bytes.write(frames)
  }

  /// The next thing that came in; nil when the connection is closed.
  func next() async -> FrameDecoder.Event? {
    while true {
      let (event, isClosed) = state.withLock { state in
        (state.events.isEmpty ? nil : state.events.removeFirst(), state.isClosed)
      }
      if event != nil || isClosed { return event }
      await withCheckedContinuation { continuation in
        let isThere = state.withLock { state in
          if !state.events.isEmpty || state.isClosed { return true }
          state.reader = continuation
          return false
        }
        if isThere { continuation.resume() }
      }
    }
  }

  /// The next frame's header and parts, without what else comes in; nil when the connection is closed.
  func nextFrame() async -> (header: FrameHeader, meta: ByteBuffer, message: ByteBuffer)? {
    while let event = await next() {
      if case .frame(let header, let meta, let message) = event { return (header, meta, message) }
    }
    return nil
  }

  func received(_ bytes: ByteBuffer) -> Int {
    change { state in
      state.events += (try? state.decoder.events(of: bytes)) ?? []
    }
    return 0
  }

  func receivedAll() {}
  func writabilityChanged(_ isWritable: Bool) {}

  func closed(_ error: RPCError?) {
    change { $0.isClosed = true }
  }

  private func change(_ change: (inout State) -> Void) {
    let reader = state.withLock { state in
      change(&state)
      defer { state.reader = nil }
      return state.reader
    }
    reader?.resume()
  }
}
