import RPC
import StoreModel

/// Hands out upload ids and groups, and asks the Directory for more when none are at hand: one question
/// at a time for each storage class, whoever needs it.
actor LeaseKeeper {
  /// What the Directory answered.
  struct Offer: Sendable {
    var firstUpload: UploadID
    var count: UInt32
    var chunkBytes: Int
    var groups: [GroupRoute]
    /// When ids and groups are too old to begin an upload with.
    var goodUntil: Instant
  }

  private let maxRefill: UInt32
  private var leases: [StorageClass: UploadLease] = [:]
  private var refilling: Set<StorageClass> = []
  private var waiting: [StorageClass: [CheckedContinuation<Void, Never>]] = [:]

  /// Nothing at hand; asks for at most `maxRefill` ids at once.
  init(maxRefill: UInt32) {
    self.maxRefill = maxRefill
  }

  /// An upload id with groups that have none of the `shunned` nodes, unless there are no others.
  ///
  /// - Throws: what `refill` throws.
  func take(
    _ storageClass: StorageClass, time: any TimeSource, shunned: @Sendable () -> [NodeID],
    refill: @Sendable (_ count: UInt32, _ avoid: [NodeID]) async throws -> Offer
  ) async throws -> UploadLease.Ticket {
    while true {
      let avoid = shunned()
      var lease = leases[storageClass] ?? UploadLease(maxRefill: maxRefill)
      let ticket = lease.take(now: time.now) { avoid.contains($0) }
      leases[storageClass] = lease
      if let ticket { return ticket }
      if refilling.contains(storageClass) {
        await withCheckedContinuation { waiting[storageClass, default: []].append($0) }
        try Task.checkCancellation()
        continue
      }
      refilling.insert(storageClass)
      defer { refillEnded(storageClass) }
      let offer = try await refill(lease.refillCount, avoid)
      var refilled = leases[storageClass] ?? lease
      refilled.refilled(
        firstUpload: offer.firstUpload, count: offer.count, chunkBytes: offer.chunkBytes,
        groups: offer.groups, goodUntil: offer.goodUntil)
      // Whoever asked takes the first id whatever its groups: there are no better ones now.
      let first = refilled.take(now: time.now) { _ in false }
      leases[storageClass] = refilled
      guard let first else {
        throw StoreError(.unavailable, "the Directory leased no upload")
      }
      return first
    }
  }

  private func refillEnded(_ storageClass: StorageClass) {
    refilling.remove(storageClass)
    for waiter in waiting.removeValue(forKey: storageClass) ?? [] { waiter.resume() }
  }
}
