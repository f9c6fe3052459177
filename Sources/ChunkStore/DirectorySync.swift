import StoreModel

/// Lets all who wait for the same directory share one sync of it.
///
/// The first caller syncs at once; those that come meanwhile wait, and one of them then syncs for all:
/// alone nobody waits, and under load a sync serves as many as arrived during the one before. A name
/// that was changed before the call is durable when it returns.
actor DirectorySync {
  /// What a waiting caller is told.
  private enum Turn {
    /// Its directory was synced, or not.
    case done(StoreError?)
    /// It has to sync for all who wait.
    case lead
  }

  /// One who waits.
  private struct Waiter {
    var directory: String
    var continuation: CheckedContinuation<Turn, Never>
  }

  private let disk: any Disk
  private var isSyncing = false
  private var waiting: [Waiter] = []
  /// How many directories were synced: for tests and figures.
  private(set) var syncs = 0

  /// Syncs directories of this disk.
  init(disk: any Disk) {
    self.disk = disk
  }

  /// Makes the names in a directory durable.
  func sync(_ directory: String) async throws(StoreError) {
    if isSyncing {
      let turn = await withCheckedContinuation { continuation in
        waiting.append(Waiter(directory: directory, continuation: continuation))
      }
      if case .done(let error) = turn {
        if let error { throw error }
        return
      }
    }
    isSyncing = true
    let batch = waiting
    waiting = []
    var outcomes: [String: StoreError?] = [:]
    for target in [directory] + batch.map(\.directory) where outcomes[target] == nil {
      outcomes.updateValue(await outcome(of: target), forKey: target)
    }
    for waiter in batch {
      waiter.continuation.resume(returning: .done(outcomes[waiter.directory] ?? nil))
    }
    passOn()
    if let error = outcomes[directory] ?? nil { throw error }
  }

  /// Syncs a directory; nil when that went well.
  private func outcome(of directory: String) async -> StoreError? {
    syncs += 1
    do throws(StoreError) {
      try await disk.sync(directory: directory)
      return nil
    } catch {
      return error
    }
  }

  /// Ends a turn: the first of those who came meanwhile goes on.
  private func passOn() {
    guard !waiting.isEmpty else {
      isSyncing = false
      return
    }
    waiting.removeFirst().continuation.resume(returning: .lead)
  }
}
