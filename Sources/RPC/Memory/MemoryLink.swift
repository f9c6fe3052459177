internal import NIOCore
internal import Synchronization

/// A connection inside the process: two ends that put bytes into each other's inbox.
final class MemoryLink: Sendable {
  /// What one end holds.
  struct End {
    var inbox: [ByteBuffer] = []
    var inboxBytes = 0
    var isReading = true
    var handler: (any ByteHandler)?
    /// This end has asked to close.
    var isClosing = false
    /// What its handler was last told of the room at the other end.
    var isWritable = true
    var runner: UnsafeContinuation<Void, Never>?
    /// Its handler has heard its last.
    var isOver = false
  }

  struct State {
    var ends = [End(), End()]
    var failure: RPCError?
  }

  /// Bytes in the other end's inbox: above `high` a connection isn't writable, below `low` it is again.
  static let waterMark = (low: 512 << 10, high: 2 << 20)

  private let names: [String]
  fileprivate let state = Mutex(State())

  init(client: String, server: String) {
    names = [client, server]
  }

  /// The end that connected.
  var client: any ByteConnection { MemoryConnection(link: self, side: 0, peer: names[1]) }
  /// The end that was accepted.
  var server: any ByteConnection { MemoryConnection(link: self, side: 1, peer: names[0]) }

  /// Whether both ends have ended.
  var isOver: Bool { state.withLock { $0.ends.allSatisfy(\.isOver) } }

  /// Ends it for both sides, and what is under way is lost.
  func cut() {
    change { state in
      guard state.failure == nil else { return }
      state.failure = RPCError(.unavailable, "the connection was cut")
      for side in 0...1 {
        state.ends[side].inbox = []
        state.ends[side].inboxBytes = 0
      }
    }
  }

  /// Changes the state and wakes both ends.
  fileprivate func change(_ change: (inout State) -> Void) {
    let runners = state.withLock { state in
      change(&state)
      let runners = state.ends.map(\.runner)
      for side in 0...1 { state.ends[side].runner = nil }
      return runners
    }
    for case let runner? in runners { runner.resume() }
  }
}

/// One end of a connection inside the process.
final class MemoryConnection: ByteConnection {
  private let link: MemoryLink
  private let side: Int
  let peer: String

  /// What there is to tell the handler.
  private enum Step {
    case deliver(any ByteHandler, [ByteBuffer])
    case writability(any ByteHandler, Bool)
    case close(any ByteHandler, RPCError?)
    case wait
  }

  init(link: MemoryLink, side: Int, peer: String) {
    self.link = link
    self.side = side
    self.peer = peer
  }

  var executor: (any TaskExecutor)? { nil }

  func start(_ handler: any ByteHandler) {
    link.change { state in state.ends[side].handler = handler }
  }

  func write(_ bytes: [ByteBuffer]) {
    link.change { state in
      let other = 1 - side
      guard state.failure == nil, !state.ends[side].isClosing, !state.ends[other].isClosing else {
        return
      }
      for buffer in bytes where buffer.readableBytes > 0 {
        state.ends[other].inbox.append(buffer)
        state.ends[other].inboxBytes += buffer.readableBytes
      }
    }
  }

  func setReading(_ reading: Bool) {
    link.change { state in state.ends[side].isReading = reading }
  }

  func close() {
    link.change { state in state.ends[side].isClosing = true }
  }

  func run() async {
    await withTaskCancellationHandler {
      while true {
        switch link.state.withLock({ next(&$0) }) {
        case .deliver(let handler, let buffers):
          for buffer in buffers { handler.received(buffer) }
          handler.receivedAll()
          // The sender may have room again.
          link.change { _ in }
        case .writability(let handler, let isWritable): handler.writabilityChanged(isWritable)
        case .close(let handler, let error):
          handler.closed(error)
          return
        case .wait: await wait()
        }
      }
    } onCancel: {
      link.cut()
    }
  }

  private func next(_ state: inout MemoryLink.State) -> Step {
    let other = state.ends[1 - side]
    var end = state.ends[side]
    defer { state.ends[side] = end }
    let isGone = state.failure != nil || end.isClosing
    guard let handler = end.handler else { return .wait }
    if isGone || other.isClosing && end.inbox.isEmpty {
      end.isOver = true
      end.isClosing = true
      end.inbox = []
      end.handler = nil
      return .close(handler, state.failure)
    }
    let isWritable =
      end.isWritable
      ? other.inboxBytes <= MemoryLink.waterMark.high
      : other.inboxBytes < MemoryLink.waterMark.low
    if isWritable != end.isWritable {
      end.isWritable = isWritable
      return .writability(handler, isWritable)
    }
    // As on a socket: what came before the other end's close comes in, asked for or not.
    guard end.isReading || other.isClosing, !end.inbox.isEmpty else { return .wait }
    let buffers = end.inbox
    end.inbox = []
    end.inboxBytes = 0
    return .deliver(handler, buffers)
  }

  private func wait() async {
    await withUnsafeContinuation { continuation in
      let isBusy = link.state.withLock { state in
        var copy = state
        if case .wait = next(&copy) {
          state.ends[side].runner = continuation
          return false
        }
        return true
      }
      if isBusy { continuation.resume() }
    }
  }
}
