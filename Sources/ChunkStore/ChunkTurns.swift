import StoreModel
import Synchronization

/// Lets one at a time change a chunk, in the order in which they came, whichever of a node's disks it
/// is on.
final class ChunkTurns: Sendable {
  /// Chunks that somebody changes, and who waits for each.
  private let waiting = Mutex<[ChunkID: [CheckedContinuation<Void, Never>]]>([:])

  /// Calls `body` when nobody else changes the chunk. Whoever has a turn takes no other one.
  func within<Result>(_ id: ChunkID, _ body: () async throws -> Result) async rethrows -> Result {
    await take(id)
    defer { end(id) }
    return try await body()
  }

  private func take(_ id: ChunkID) async {
    await withCheckedContinuation { continuation in
      let isFree = waiting.withLock { waiting in
        guard waiting[id] != nil else {
          waiting[id] = []
          return true
        }
        waiting[id]?.append(continuation)
        return false
      }
      if isFree { continuation.resume() }
    }
  }

  private func end(_ id: ChunkID) {
    let next = waiting.withLock { waiting -> CheckedContinuation<Void, Never>? in
      guard let others = waiting[id], !others.isEmpty else {
        waiting[id] = nil
        return nil
      }
      return waiting[id]?.removeFirst()
    }
    next?.resume()
  }
}
