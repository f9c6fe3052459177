import StoreModel
import Synchronization

/// Writing the lists of deletions: each disk's own on its own, so that one that hangs keeps nobody from
/// going on who knows that another one has it.
///
/// On a disk they are written one after the other, each as new as it is when its turn has come: no later
/// one is overtaken by an earlier one. While `run` is under way it writes, and whoever needs a list only
/// waits until one disk has it; else they write it themselves.
extension DiskSet {
  /// How far the disks are with the list.
  struct ListWriting: Sendable {
    /// How far one is. A change is known by its number.
    struct Disk: Sendable, Hashable {
      /// The last change that is to be written.
      var wanted = 0
      /// The last change that it has durably.
      var durable = 0
      /// The last change that could not be written.
      var failed = 0
      /// Whether `run` writes.
      var isServed = false

      /// Whether there is something to be written.
      var isBehind: Bool { wanted > max(durable, failed) }
    }

    var disks: [Disk]

    /// A change is to be written to some disks.
    mutating func want(_ change: Int, on places: [Int]) {
      for place in places { disks[place].wanted = max(disks[place].wanted, change) }
    }

    /// A change was written to a disk, or could not be.
    mutating func note(_ change: Int, on place: Int, isDurable: Bool) {
      if isDurable {
        disks[place].durable = max(disks[place].durable, change)
      } else {
        disks[place].failed = max(disks[place].failed, change)
      }
    }

    /// Whether a disk has a change; nil: not yet, but one of these may still get it.
    func isKept(_ change: Int, on places: [Int]) -> Bool? {
      if places.contains(where: { disks[$0].durable >= change }) { return true }
      return places.allSatisfy { disks[$0].failed >= change } ? false : nil
    }

    /// Which of these disks wait for somebody to write.
    func unserved(of places: [Int]) -> [Int] {
      places.filter { disks[$0].isBehind && !disks[$0].isServed }
    }
  }

  /// How the lists are written, and who waits for it.
  struct Lists: Sendable {
    var writing: ListWriting
    /// By place: wakes who writes; nil: nobody does.
    var bells: [AsyncStream<Void>.Continuation?]
    /// Who looks again at the next change.
    var waiting: [CheckedContinuation<Void, Never>] = []

    init(disks count: Int) {
      writing = ListWriting(disks: Array(repeating: ListWriting.Disk(), count: count))
      bells = Array(repeating: nil, count: count)
    }
  }

  /// Has disks write the list. Waits only where nobody else writes it.
  ///
  /// - Parameters:
  ///   - change: the list is to be at least so new.
  ///   - places: which disks.
  func writeLists(_ change: Int, on places: [Int]) async {
    let (unserved, bells) = lists.withLock { lists in
      lists.writing.want(change, on: places)
      return (lists.writing.unserved(of: places), places.compactMap { lists.bells[$0] })
    }
    for bell in bells { bell.yield() }
    await writeLists(on: unserved)
  }

  /// Waits until a disk has the list durably, or all of these failed to write it.
  ///
  /// - Returns: whether one has.
  func isListKept(_ change: Int, on places: [Int]) async -> Bool {
    while true {
      let (isKept, unserved) = lists.withLock {
        ($0.writing.isKept(change, on: places), $0.writing.unserved(of: places))
      }
      if let isKept { return isKept }
      // Those that wrote have ended.
      guard unserved.isEmpty else {
        await writeLists(on: unserved)
        continue
      }
      await withCheckedContinuation { continuation in
        let isOver = lists.withLock { lists in
          guard lists.writing.isKept(change, on: places) == nil,
            lists.writing.unserved(of: places).isEmpty
          else { return true }
          lists.waiting.append(continuation)
          return false
        }
        if isOver { continuation.resume() }
      }
    }
  }

  /// Writes a disk's list whenever there is something new, until the task is cancelled.
  func writeListForever(on place: Int) async {
    let (stream, bell) = AsyncStream.makeStream(
      of: Void.self, bufferingPolicy: .bufferingNewest(1))
    change {
      $0.bells[place] = bell
      $0.writing.disks[place].isServed = true
    }
    for await _ in stream { await writeList(on: place) }
    change {
      $0.bells[place] = nil
      $0.writing.disks[place].isServed = false
    }
  }

  private func writeLists(on places: [Int]) async {
    await withTaskGroup(of: Void.self) { group in
      for place in places { group.addTask { await self.writeList(on: place) } }
    }
  }

  /// Writes a disk's list, unless somebody else did meanwhile.
  private func writeList(on place: Int) async {
    await turns.within(.deletions(place)) {
      guard lists.withLock({ $0.writing.disks[place].isBehind }) else { return }
      let (list, number) = deletions.withLock { ($0.list, $0.changes) }
      let store = disks[place].store
      do throws(StoreError) {
        try await list.write(on: store.disk)
        change { $0.writing.note(number, on: place, isDurable: true) }
      } catch {
        store.report(StorePaths.deletions, "cannot be written: \(error.message)")
        change { $0.writing.note(number, on: place, isDurable: false) }
      }
    }
  }

  /// Changes how far it is, and has those who wait look again.
  private func change(_ body: (inout Lists) -> Void) {
    let waiting = lists.withLock { lists in
      body(&lists)
      defer { lists.waiting = [] }
      return lists.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}
