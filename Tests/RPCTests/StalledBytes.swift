import NIOCore
import Synchronization

@testable import RPC

/// A connection whose bytes go nowhere; it counts them.
final class StalledBytes: ByteConnection {
  private let state = Mutex((count: 0, isReading: true))
  let peer = "deaf"
  let executor: (any TaskExecutor)? = nil

  var count: Int { state.withLock { $0.count } }
  var isReading: Bool { state.withLock { $0.isReading } }

  func start(_ handler: any ByteHandler) {}
  func write(_ bytes: [ByteBuffer]) {
    state.withLock { $0.count += bytes.reduce(0) { $0 + $1.readableBytes } }
  }
  func setReading(_ reading: Bool) {
    state.withLock { $0.isReading = reading }
  }
  func close() {}
}
