import MetadataStore
package import RPC
import StoreModel
package import StoreProtocol
import Synchronization

extension DirectoryServer {
  /// Leases upload ids and names groups to write to.
  package func beginUpload(
    _ request: BeginUploadRequest, context: CallContext
  ) async throws -> BeginUploadResponse {
    try await answer {
      let storageClass = try StorageClass(named: request.storageClass)
      let count = max(1, request.count)
      guard count <= UploadLeases.maxCount else {
        throw StoreError(
          .invalidArgument, "at most \(UploadLeases.maxCount) uploads are leased at once")
      }
      let groupCount = max(1, request.groups)
      guard groupCount <= Placement.maxGroups else {
        throw StoreError(
          .invalidArgument, "at most \(Placement.maxGroups) groups are named at once")
      }
      guard request.avoidNodes.count <= RequestLimits.maxAvoidedNodes else {
        throw StoreError(
          .invalidArgument, "at most \(RequestLimits.maxAvoidedNodes) nodes are avoided")
      }
      var response = BeginUploadResponse(chunkSize: configuration.chunkBytes)
      if request.continuedUpload != 0 {
        let left = try await store.checkUpload(
          request.continuedUpload, now: time.wallClockMicroseconds)
        response.firstUpload = request.continuedUpload
        response.count = 1
        response.leaseUs = UInt64(max(0, left))
      }
      let groups = try await offer(
        storageClass, count: Int(groupCount), avoiding: Set(request.avoidNodes.map { NodeID($0) }))
      if request.continuedUpload == 0 {
        let ids = try await store.leaseUploads(UInt64(count), now: time.wallClockMicroseconds)
        response.firstUpload = ids.lowerBound
        response.count = count
        response.leaseUs = UInt64(UploadLeases.leaseMicroseconds)
      }
      response.groups = map.withLock { $0.wire(groups) }
      return response
    }
  }

  /// Publishes name and manifest; the answer is the receipt.
  package func commitUpload(
    _ request: CommitUploadRequest, context: CallContext
  ) async throws -> CommitUploadResponse {
    try await answer {
      let manifest = try Manifest(request.manifest)
      let entry = try await store.commitUpload(
        UploadCommit(
          upload: request.upload, name: try Name(request.name), manifest: manifest,
          condition: Condition(request.condition)), now: time.wallClockMicroseconds)
      let groups = try map.withLock { map throws(StoreError) in try map.groups(of: manifest) }
      let target = manifest.storageClass.targetCopies
      return CommitUploadResponse(
        entry: WireEntry(entry), copies: ClusterMap.copies(groups, target: target),
        targetCopies: UInt32(target), fsynced: true,
        nodes: Set(groups.flatMap(\.members)).sorted().map(\.value))
    }
  }

  /// Gives up an upload.
  package func abortUpload(
    _ request: AbortUploadRequest, context: CallContext
  ) async throws -> AbortUploadResponse {
    try await answer {
      try await store.abortUpload(request.upload, now: time.wallClockMicroseconds)
      return AbortUploadResponse()
    }
  }

  /// Groups to write to; makes those that are missing first.
  private func offer(
    _ storageClass: StorageClass, count: Int, avoiding: Set<NodeID>
  ) async throws(StoreError) -> [PlacementGroup] {
    var offer: [PlacementGroup] = []
    // Each round makes at most 256 groups; a large new cluster gets the rest with the next requests.
    for _ in 0..<4 {
      let nodes = map.withLock { $0.placementNodes }
      let known = map.withLock { $0.groups }
      let rules = configuration.placement
      let random = self.random
      let plan = try Placement(nodes: nodes, groups: known, rules: rules)
        .plan(storageClass, count: count, avoiding: avoiding) { random.next() }
      offer = plan.offer
      if plan.create.isEmpty { return offer }
      let made = try await store.createGroups(storageClass) { known throws(StoreError) in
        try Placement(nodes: nodes, groups: known, rules: rules)
          .plan(storageClass, count: count, avoiding: avoiding) { random.next() }.create
      }
      if !made.isEmpty {
        map.withLock { $0.learn(made) }
      } else {
        // Another request made them, and may not have told the map yet.
        let all = try await store.groups()
        map.withLock { $0.learn(all) }
      }
    }
    guard !offer.isEmpty else {
      throw StoreError(.aborted, "nodes came and went while groups were made: try again")
    }
    return offer
  }
}
