internal import ChunkStore
package import RPC

/// The services' clock as a chunk store wants it.
package struct StoreClock: ChunkStoreClock {
  private let time: any TimeSource

  /// Reads this clock.
  package init(_ time: any TimeSource) {
    self.time = time
  }

  /// Nanoseconds on a clock that never goes back.
  package var nanoseconds: UInt64 {
    time.now.nanoseconds
  }

  /// Seconds since 1970.
  package var wallSeconds: Int64 {
    time.wallClockMicroseconds / 1_000_000
  }

  /// Returns at this moment, or throws `CancellationError` when the task is cancelled.
  package func sleep(until nanoseconds: UInt64) async throws {
    try await time.sleep(until: Instant(nanoseconds: nanoseconds))
  }
}
