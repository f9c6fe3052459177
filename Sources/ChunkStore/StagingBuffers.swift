import StoreModel
import Synchronization

/// The memory in which chunks are gathered on their way to the disk: bounded, reused, and waited for in
/// order of arrival.
final class StagingBuffers: Sendable {
  /// The state behind the lock.
  private struct State {
    var available: Int
    var waiting: [Waiter] = []
    var spare: [DiskBuffer] = []
    var nextTicket: UInt64 = 0
  }

  /// One who waits for memory.
  private struct Waiter {
    var ticket: UInt64
    var bytes: Int
    var continuation: CheckedContinuation<Bool, Never>
  }

  private let budget: Int
  private let spareBytes: Int
  private let maxSpares: Int
  private let state: Mutex<State>

  /// Sets bounds.
  ///
  /// - Parameters:
  ///   - budget: the most bytes that are given out at a time.
  ///   - spareBytes: the size of buffers that are kept for their next user instead of freed.
  ///   - maxSpares: how many of them are kept.
  init(budget: Int, spareBytes: Int, maxSpares: Int) {
    self.budget = budget
    self.spareBytes = spareBytes
    self.maxSpares = maxSpares
    state = Mutex(State(available: budget))
  }

  /// Bytes that are given out.
  var usedBytes: Int {
    state.withLock { budget - $0.available }
  }

  /// Whether somebody waits for a buffer.
  var isShort: Bool {
    state.withLock { !$0.waiting.isEmpty }
  }

  /// A buffer of so many bytes, at most the budget; waits until others give back enough.
  ///
  /// - Throws: `CancellationError`.
  func take(_ bytes: Int) async throws -> DiskBuffer {
    let bytes = DiskBuffer.roundUp(bytes)
    precondition(bytes <= budget, "a buffer larger than all there is")
    let ticket = state.withLock { state -> UInt64? in
      guard !state.waiting.isEmpty || state.available < bytes else {
        take(bytes, of: &state)
        return nil
      }
      state.nextTicket += 1
      return state.nextTicket
    }
    if let ticket { try await wait(bytes, ticket: ticket) }
    return reuse(bytes) ?? DiskBuffer(capacity: bytes)
  }

  /// Gives a buffer back.
  func give(_ buffer: DiskBuffer) {
    let bytes = buffer.bytes.count
    let ready = state.withLock { state in
      if bytes == spareBytes, state.spare.count < maxSpares { state.spare.append(buffer) }
      state.available += bytes
      return grant(&state)
    }
    for waiter in ready { waiter.continuation.resume(returning: true) }
  }

  /// Waits for its turn.
  private func wait(_ bytes: Int, ticket: UInt64) async throws {
    let granted = await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
        let ready = state.withLock { state in
          state.waiting.append(Waiter(ticket: ticket, bytes: bytes, continuation: continuation))
          return grant(&state)
        }
        for waiter in ready { waiter.continuation.resume(returning: true) }
        if Task.isCancelled { cancel(ticket) }
      }
    } onCancel: {
      cancel(ticket)
    }
    guard granted else { throw CancellationError() }
  }

  /// Ends a waiting that has not been granted.
  private func cancel(_ ticket: UInt64) {
    let (waiter, ready) = state.withLock { state -> (Waiter?, [Waiter]) in
      guard let place = state.waiting.firstIndex(where: { $0.ticket == ticket }) else {
        return (nil, [])
      }
      let waiter = state.waiting.remove(at: place)
      return (waiter, grant(&state))
    }
    waiter?.continuation.resume(returning: false)
    for waiter in ready { waiter.continuation.resume(returning: true) }
  }

  /// Takes those out of the queue, from its head, for whom there is enough.
  private func grant(_ state: inout State) -> [Waiter] {
    var ready: [Waiter] = []
    while let first = state.waiting.first, first.bytes <= state.available {
      take(first.bytes, of: &state)
      ready.append(state.waiting.removeFirst())
    }
    return ready
  }

  /// Gives memory out. Spares are part of the budget while nobody else needs it.
  private func take(_ bytes: Int, of state: inout State) {
    state.available -= bytes
    guard bytes != spareBytes else { return }
    state.spare.removeLast(
      max(0, state.spare.count - max(state.available, 0) / spareBytes))
  }

  /// A spare buffer of this size.
  private func reuse(_ bytes: Int) -> DiskBuffer? {
    guard bytes == spareBytes else { return nil }
    return state.withLock { $0.spare.popLast() }
  }
}
