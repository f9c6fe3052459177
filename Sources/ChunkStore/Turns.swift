import Synchronization

/// Lets one at a time change a thing, in the order in which they came.
final class Turns<Thing: Hashable & Sendable>: Sendable {
  /// Things that somebody changes, and who waits for each.
  private let waiting = Mutex<[Thing: [CheckedContinuation<Void, Never>]]>([:])

  /// Calls `body` when nobody else changes the thing.
  func within<Result>(
    _ thing: Thing, _ body: () async throws -> Result
  ) async rethrows -> Result {
    await take(thing)
    defer { end(thing) }
    return try await body()
  }

  /// Waits until nobody else changes the thing. Whoever took it must end it.
  func take(_ thing: Thing) async {
    if takeNow(thing) { return }
    await withCheckedContinuation { continuation in
      let isFree = waiting.withLock { waiting in
        guard waiting[thing] != nil else {
          waiting[thing] = []
          return true
        }
        waiting[thing]?.append(continuation)
        return false
      }
      if isFree { continuation.resume() }
    }
  }

  /// Takes the thing if it is free: most are, and need no continuation.
  private func takeNow(_ thing: Thing) -> Bool {
    waiting.withLock { waiting in
      guard waiting[thing] == nil else { return false }
      waiting[thing] = []
      return true
    }
  }

  /// Lets the next one change it.
  func end(_ thing: Thing) {
    let next = waiting.withLock { waiting -> CheckedContinuation<Void, Never>? in
      guard let others = waiting[thing], !others.isEmpty else {
        waiting[thing] = nil
        return nil
      }
      return waiting[thing]?.removeFirst()
    }
    next?.resume()
  }

  /// How many wait for the thing.
  func waiters(for thing: Thing) -> Int {
    waiting.withLock { $0[thing]?.count ?? 0 }
  }
}
