import StoreModel
import Synchronization

/// The epochs of the groups that this node belongs to, as the Directory last told them.
final class GroupEpochs: Sendable {
  private let epochs = Mutex<[GroupID: UInt64]>([:])

  /// Learns a group's epoch; an older one than is known changes nothing.
  func learn(_ group: GroupID, epoch: UInt64) {
    epochs.withLock { $0[group] = max(epoch, $0[group] ?? 0) }
  }

  /// Refuses a chunk that was meant for members the group no longer has.
  ///
  /// - Throws: `StoreError.preconditionFailed` that names both epochs.
  func check(_ group: GroupID, epoch: UInt64) throws(StoreError) {
    let known = epochs.withLock { $0[group] ?? 0 }
    guard epoch >= known else {
      throw StoreError(
        .preconditionFailed,
        "group \(group) is at epoch \(known), the chunk was sent for epoch \(epoch): "
          + "ask the Directory for the group's present members")
    }
  }
}
