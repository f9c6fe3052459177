import Synchronization

@testable import ChunkStore

/// A clock that a test moves: who sleeps is woken at once.
final class HandClock: ChunkStoreClock {
  private let time = Mutex(UInt64(0))
  var wallSeconds: Int64 { 1_767_225_600 + Int64(nanoseconds / 1_000_000_000) }

  var nanoseconds: UInt64 { time.withLock { $0 } }

  /// Lets so many seconds pass.
  func pass(seconds: UInt64) {
    time.withLock { $0 += seconds * 1_000_000_000 }
  }

  func sleep(until nanoseconds: UInt64) async throws {
    try Task.checkCancellation()
    await Task.yield()
  }
}

/// A clock on which it is at once as late as somebody sleeps for.
final class JumpingClock: ChunkStoreClock {
  private let time = Mutex(UInt64(0))
  var wallSeconds: Int64 { 1_767_225_600 + Int64(nanoseconds / 1_000_000_000) }

  var nanoseconds: UInt64 { time.withLock { $0 } }

  func sleep(until nanoseconds: UInt64) async throws {
    try Task.checkCancellation()
    time.withLock { $0 = max($0, nanoseconds) }
  }
}
