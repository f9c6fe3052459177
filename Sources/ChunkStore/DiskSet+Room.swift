package import StoreModel
import Synchronization

/// How much room the disks have, told also while one of them hangs: who asks for it must not wait for that
/// one, or the whole node is taken for dead.
extension DiskSet {
  /// What a disk said of its room.
  struct Answer: Sendable {
    /// Nil: it failed.
    var space: DiskSpace?
    /// When, in nanoseconds of the clock.
    var at: UInt64
  }

  /// How long to wait before a disk is asked again.
  private static let pause: UInt64 = 5_000_000_000
  /// A disk that was silent for longer gets no new chunks.
  private static let longestSilence: UInt64 = 30_000_000_000

  /// Asks each disk for its room again and again, until the task is cancelled.
  func askForRoom() async {
    answers.withLock { $0 = Array(repeating: nil, count: disks.count) }
    await withTaskGroup(of: Void.self) { group in
      for place in disks.indices { group.addTask { await self.askForRoom(of: place) } }
    }
    answers.withLock { $0 = nil }
  }

  private func askForRoom(of place: Int) async {
    while !Task.isCancelled {
      let answer = Answer(
        space: try? await disks[place].store.disk.space(), at: clock.nanoseconds)
      answers.withLock { $0?[place] = answer }
      let wake = clock.nanoseconds + DiskSet.pause
      guard (try? await clock.sleep(until: wake)) != nil else { return }
    }
  }

  package func statistics() async throws(StoreError) -> NodeStatistics {
    var sum = NodeStatistics()
    for (place, disk) in disks.enumerated() {
      guard let space = try await space(of: place) else {
        room.withLock { $0[place] = 0 }
        continue
      }
      let one = disk.store.statistics(of: space)
      let isUsable = !disk.store.isFailing || disks.count == 1
      room.withLock { $0[place] = isUsable ? one.freeBytes : 0 }
      sum.capacityBytes += one.capacityBytes
      sum.freeBytes += isUsable ? one.freeBytes : 0
      sum.usedBytes += one.usedBytes
      sum.chunks += one.chunks
    }
    return sum
  }

  /// A disk's room; nil where it can't be told, and other disks go on.
  private func space(of place: Int) async throws(StoreError) -> DiskSpace? {
    if let answers = answers.withLock({ $0 }), let answer = answers[place] {
      let now = clock.nanoseconds
      return now <= answer.at + DiskSet.longestSilence ? answer.space : nil
    }
    do {
      return try await disks[place].store.disk.space()
    } catch {
      if disks.count > 1 { return nil }
      throw error
    }
  }
}
