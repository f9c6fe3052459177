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

  /// What the disks said.
  struct Answers: Sendable {
    /// By place; nil: nothing yet.
    var last: [Answer?]
    /// Whether they are asked again and again.
    var areAsked = false
  }

  /// How long to wait before a disk is asked again.
  private static let pause: UInt64 = 5_000_000_000

  /// Asks each disk for its room again and again, until the task is cancelled.
  func askForRoom() async {
    answers.withLock { $0.areAsked = true }
    await withTaskGroup(of: Void.self) { group in
      for place in disks.indices { group.addTask { await self.askForRoom(of: place) } }
    }
    answers.withLock { $0.areAsked = false }
  }

  private func askForRoom(of place: Int) async {
    while !Task.isCancelled {
      note(try? await disks[place].store.disk.space(), of: place)
      // Asked now and then, it knows for how long.
      _ = disks[place].store.isSilent
      let wake = clock.nanoseconds + DiskSet.pause
      guard (try? await clock.sleep(until: wake)) != nil else { return }
    }
  }

  package func statistics() async throws(StoreError) -> NodeStatistics {
    var sum = NodeStatistics()
    // Directories on one file system share its room.
    var shared: [UInt64: NodeStatistics] = [:]
    for (place, disk) in disks.enumerated() {
      guard let space = try await space(of: place) else { continue }
      var one = disk.store.statistics(of: space)
      if disk.store.isFailing, disks.count > 1 { one.freeBytes = 0 }
      sum.usedBytes += one.usedBytes
      sum.chunks += one.chunks
      let counted = space.fileSystem.flatMap { shared[$0] } ?? NodeStatistics()
      one.capacityBytes = max(one.capacityBytes, counted.capacityBytes)
      one.freeBytes = max(one.freeBytes, counted.freeBytes)
      sum.capacityBytes += one.capacityBytes - counted.capacityBytes
      sum.freeBytes += one.freeBytes - counted.freeBytes
      if let fileSystem = space.fileSystem { shared[fileSystem] = one }
    }
    return sum
  }

  /// A disk's room; nil where it can't be told, and other disks go on.
  private func space(of place: Int) async throws(StoreError) -> DiskSpace? {
    let (answer, isAsked) = answers.withLock { ($0.last[place], $0.areAsked) }
    // Its room may be told out of memory: that is none to be had.
    if disks.count > 1, disks[place].store.isSilent { return nil }
    if isAsked, let answer {
      if clock.nanoseconds <= answer.at + CallsUnderWay.longestSilence { return answer.space }
      room.withLock { $0[place] = 0 }
      return nil
    }
    do {
      let space = try await disks[place].store.disk.space()
      note(space, of: place)
      return space
    } catch {
      note(nil, of: place)
      if disks.count > 1 { return nil }
      throw error
    }
  }

  /// A disk said how much room it has, or failed to.
  private func note(_ space: DiskSpace?, of place: Int) {
    answers.withLock { $0.last[place] = Answer(space: space, at: clock.nanoseconds) }
    let free = space.map { disks[place].store.statistics(of: $0).freeBytes } ?? 0
    room.withLock { $0[place] = free }
  }
}
