import RPC
import StoreModel

/// Upload ids and groups held at hand, so that a file costs one node call and one Directory call.
///
/// Sizes of refills double: a client that stores one file leases one id, one that stores thousands asks
/// rarely. Ids are left unused when the lease gets old or the last group has a failed node.
struct UploadLease: Sendable {
  /// What one upload begins with.
  struct Ticket: Sendable, Hashable {
    /// The upload's id.
    var upload: UploadID
    /// Bytes of each chunk but the last.
    var chunkBytes: Int
    /// Where its chunks may go; never empty.
    var groups: [GroupRoute]
  }

  private let maxRefill: UInt32
  private(set) var refillCount: UInt32 = 1
  private var nextUpload: UploadID = 0
  private var remaining: UInt32 = 0
  private var chunkBytes = 0
  private var groups: [GroupRoute] = []
  private var goodUntil = Instant(nanoseconds: 0)

  /// Nothing at hand; at most `maxRefill` ids are leased at once.
  init(maxRefill: UInt32) {
    self.maxRefill = max(1, maxRefill)
  }

  /// An id with groups that have no shunned node; nil when the Directory must be asked for
  /// `refillCount` new ones.
  mutating func take(now: Instant, isShunned: (NodeID) -> Bool) -> Ticket? {
    guard remaining > 0, now < goodUntil else { return nil }
    groups.removeAll { group in group.members.contains { isShunned($0.node) } }
    guard !groups.isEmpty else { return nil }
    let ticket = Ticket(upload: nextUpload, chunkBytes: chunkBytes, groups: groups)
    nextUpload += 1
    remaining -= 1
    return ticket
  }

  /// The Directory leased `count` ids from `firstUpload` on; they and the groups are used until
  /// `goodUntil`.
  mutating func refilled(
    firstUpload: UploadID, count: UInt32, chunkBytes: Int, groups: [GroupRoute], goodUntil: Instant
  ) {
    nextUpload = firstUpload
    remaining = count
    self.chunkBytes = chunkBytes
    self.groups = groups
    self.goodUntil = goodUntil
    refillCount = min(maxRefill, refillCount * 2)
  }
}
