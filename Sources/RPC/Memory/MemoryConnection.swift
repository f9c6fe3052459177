internal import NIOCore
internal import Synchronization

/// One end of a connection inside the process.
final class MemoryConnection: ByteConnection {
  private let link: MemoryLink
  private let side: Int
  let peer: String

  /// What there is to tell the handler.
  private enum Step {
    case deliver(any ByteHandler, [ByteBuffer])
    case writability(any ByteHandler, Bool)
    case sent(any ByteHandler, UInt64, unsent: Int)
    case close(any ByteHandler, RPCError?)
    /// Nothing before this moment, or before something changes.
    case wait(Instant?)
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
    link.send(bytes, to: 1 - side)
  }

  func setReading(_ reading: Bool) {
    link.change { state in state.ends[side].isReading = reading }
  }

  func close() {
    link.close(side)
  }

  func run() async {
    await withTaskCancellationHandler {
      while true {
        switch link.state.withLock({ next(&$0) }) {
        case .deliver(let handler, let buffers):
          for buffer in buffers { _ = handler.received(buffer) }
          handler.receivedAll()
          // The sender may have room again.
          link.change { _ in }
        case .writability(let handler, let isWritable): handler.writabilityChanged(isWritable)
        case .sent(let handler, let left, let unsent): handler.sent(left, unsent: unsent)
        case .close(let handler, let error):
          handler.closed(error)
          return
        case .wait(let due): await wait(until: due)
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
    guard let handler = end.handler else { return .wait(nil) }
    let isLeft = other.isClosing && !state.isBlackHole
    let due = end.inbox.isEmpty ? (isLeft ? end.lastDue : nil) : end.inbox[0].due
    let isDue = due.map { $0 <= link.time.now } ?? true
    if isGone || isLeft && end.inbox.isEmpty && isDue {
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
    let unsent = other.inboxBytes
    if abs(unsent - end.toldUnsent) >= MemoryLink.toldStep || unsent == 0 && end.toldUnsent > 0 {
      end.toldUnsent = unsent
      return .sent(handler, other.sentBytes - UInt64(unsent), unsent: unsent)
    }
    guard isDue else { return .wait(due) }
    // As on a socket: what came before the other end's close comes in, asked for or not.
    guard end.isReading || isLeft, !end.inbox.isEmpty else { return .wait(nil) }
    return .deliver(handler, end.takeArrived(link.time))
  }

  /// Returns at `due`, or when something has changed.
  private func wait(until due: Instant?) async {
    guard let due else {
      await waitForChange(beside: nil)
      return
    }
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        guard (try? await self.link.time.sleep(until: due)) != nil else { return }
        self.link.change { _ in }
      }
      await waitForChange(beside: due)
      group.cancelAll()
    }
  }

  /// Returns when something has changed since it was seen that there is nothing to do before `due`: a parcel that
  /// came in the meantime has a moment of its own.
  func waitForChange(beside due: Instant?) async {
    await withUnsafeContinuation { continuation in
      let isBusy = link.state.withLock { state in
        var copy = state
        if case .wait(let moment) = next(&copy), moment == due {
          state.ends[side].runner = continuation
          return false
        }
        return true
      }
      if isBusy { continuation.resume() }
    }
  }
}

extension MemoryLink.End {
  /// Everything that has arrived.
  fileprivate mutating func takeArrived(_ time: any TimeSource) -> [ByteBuffer] {
    var count = inbox.count
    if inbox.contains(where: { $0.due != nil }) {
      let now = time.now
      count = inbox.firstIndex { $0.due.map { $0 > now } ?? false } ?? count
    }
    let arrived = inbox[..<count].map(\.bytes)
    inbox.removeFirst(count)
    for buffer in arrived { inboxBytes -= buffer.readableBytes }
    return arrived
  }
}
