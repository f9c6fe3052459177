internal import NIOCore
internal import Synchronization

/// A connection inside the process: two ends that put bytes into each other's inbox.
final class MemoryLink: Sendable {
  /// Bytes on their way.
  struct Parcel {
    var bytes: ByteBuffer
    /// When they arrive; nil: they have.
    var due: Instant?
  }

  /// What one end holds.
  struct End {
    var inbox: [Parcel] = []
    /// Bytes that came or are under way, those that are lost among them.
    var inboxBytes = 0
    /// Bytes that ever were sent to it.
    var sentBytes: UInt64 = 0
    /// When the last of them arrives.
    var lastDue: Instant?
    var isReading = true
    var handler: (any ByteHandler)?
    /// This end has asked to close.
    var isClosing = false
    /// What its handler was last told of the room at the other end.
    var isWritable = true
    /// How many bytes its handler was last told that the other end hasn't read.
    var toldUnsent = 0
    var runner: UnsafeContinuation<Void, Never>?
    /// Its handler has heard its last.
    var isOver = false
  }

  struct State {
    var ends = [End(), End()]
    var failure: RPCError?
    var faults: MemoryFaults
    /// Something was lost, so that nothing arrives any more.
    var isBlackHole = false
  }

  /// Bytes in the other end's inbox: above `high` a connection isn't writable, below `low` it is again.
  static let waterMark = (low: 512 << 10, high: 2 << 20)
  /// A handler is told of what it sent when that has changed by so many bytes, or when all has been read.
  static let toldStep = 64 << 10

  private let names: [String]
  let time: any TimeSource
  private let random: any RandomSource
  let state: Mutex<State>

  init(
    client: String, server: String, faults: MemoryFaults, time: any TimeSource,
    random: any RandomSource
  ) {
    names = [client, server]
    self.time = time
    self.random = random
    state = Mutex(State(faults: faults))
  }

  /// The end that connected.
  var client: any ByteConnection { MemoryConnection(link: self, side: 0, peer: names[1]) }
  /// The end that was accepted.
  var server: any ByteConnection { MemoryConnection(link: self, side: 1, peer: names[0]) }

  /// Whether both ends have ended.
  var isOver: Bool { state.withLock { $0.ends.allSatisfy(\.isOver) } }

  /// Ends it for both sides, and what is under way is lost.
  func cut() {
    change { $0.cut() }
  }

  /// It suffers these faults from now on.
  func suffer(_ faults: MemoryFaults) {
    change { $0.faults = faults }
  }

  /// Puts bytes on their way to the end at `side`.
  func send(_ bytes: [ByteBuffer], to side: Int) {
    change { state in
      guard state.failure == nil, !state.ends[0].isClosing, !state.ends[1].isClosing else { return }
      var due: Instant?
      switch state.faults.fate(random) {
      case .cuts:
        state.cut()
        return
      case .isLost: state.isBlackHole = true
      case .arrives(let way): due = arrival(after: way, at: state.ends[side])
      }
      state.ends[side].lastDue = due
      for buffer in bytes where buffer.readableBytes > 0 {
        state.ends[side].inboxBytes += buffer.readableBytes
        state.ends[side].sentBytes += UInt64(buffer.readableBytes)
        if !state.isBlackHole { state.ends[side].inbox.append(Parcel(bytes: buffer, due: due)) }
      }
    }
  }

  /// The end at `side` wants to close: the other one hears of it when it has all that was sent.
  func close(_ side: Int) {
    change { state in
      guard !state.ends[side].isClosing else { return }
      state.ends[side].isClosing = true
      let way = state.faults.way(random)
      state.ends[1 - side].lastDue = arrival(after: way, at: state.ends[1 - side])
      if state.faults.isSilent { state.isBlackHole = true }
    }
  }

  /// When something arrives that is sent now, not before what was sent before; nil: at once.
  private func arrival(after way: Duration, at end: End) -> Instant? {
    guard way > .zero || end.lastDue != nil else { return nil }
    let due = time.now.advanced(by: way)
    return end.lastDue.map { max($0, due) } ?? due
  }

  /// Changes the state and wakes both ends.
  func change(_ change: (inout State) -> Void) {
    let runners = state.withLock { state in
      change(&state)
      let runners = state.ends.map(\.runner)
      for side in 0...1 { state.ends[side].runner = nil }
      return runners
    }
    for case let runner? in runners { runner.resume() }
  }
}

extension MemoryLink.State {
  mutating func cut() {
    guard failure == nil else { return }
    failure = RPCError(.unavailable, "the connection was cut")
    for side in 0...1 {
      ends[side].inbox = []
      ends[side].inboxBytes = 0
    }
  }
}
