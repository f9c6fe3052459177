internal import Synchronization

/// Whether a channel has a connection.
public enum Connectivity: Sendable, Hashable {
  /// No, and none is needed until the next call.
  case idle
  /// No, but one is being made.
  case connecting
  /// Yes: calls go out at once.
  case ready
  /// No, and the last attempt to make one failed: the next one follows when a call needs it, but not
  /// at once.
  case transientFailure
  /// No, and there will be none: the channel is closed.
  case shutdown
}

/// Those who watch a channel's connectivity.
struct ConnectivityWatchers {
  private var streams: [(number: Int, continuation: AsyncStream<Connectivity>.Continuation)] = []
  private var count = 0

  /// Tells the state to all of them.
  func tell(_ connectivity: Connectivity) {
    for stream in streams { stream.continuation.yield(connectivity) }
  }

  /// Tells another one from now on; gives its number.
  mutating func add(_ continuation: AsyncStream<Connectivity>.Continuation) -> Int {
    count += 1
    streams.append((count, continuation))
    return count
  }

  /// It listens no more.
  mutating func remove(_ number: Int) {
    streams.removeAll { $0.number == number }
  }

  /// Gives everybody up; the caller ends what they wait for, without the lock.
  mutating func removeAll() -> [AsyncStream<Connectivity>.Continuation] {
    defer { streams = [] }
    return streams.map(\.continuation)
  }
}

extension Channel {
  var connectivity: AsyncStream<Connectivity> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: Connectivity.self, bufferingPolicy: .bufferingNewest(1))
    let number = state.withLock { state -> Int? in
      continuation.yield(state.phase.connectivity)
      if case .stopped = state.phase { return nil }
      return state.watchers.add(continuation)
    }
    guard let number else {
      continuation.finish()
      return stream
    }
    // Whoever watches has the channel, and so keeps it, until then.
    continuation.onTermination = { _ in
      self.state.withLock { $0.watchers.remove(number) }
    }
    return stream
  }
}

extension Channel.Phase {
  /// How it looks from outside.
  var connectivity: Connectivity {
    switch self {
    case .idle: .idle
    case .connecting: .connecting
    case .ready: .ready
    case .down: .transientFailure
    case .stopped: .shutdown
    }
  }
}
