import RPC
import StoreModel
import StoreProtocol

extension StoreClient {
  /// What an upload begins with: from what is at hand, or else from the Directory.
  func takeTicket(_ storageClass: StorageClass) async throws -> UploadLease.Ticket {
    try await leases.take(storageClass, time: time, shunned: { self.shunnedNodes() }) {
      count, avoid in
      let response = try await self.beginUpload(
        BeginUploadRequest(
          storageClass: storageClass.rawValue, count: count,
          groups: self.configuration.groupsPerUpload),
        avoiding: avoid)
      let now = self.time.now
      // Half of the lease is left for the upload itself.
      let half = Duration.microseconds(Int64(clamping: response.leaseUs / 2))
      return LeaseKeeper.Offer(
        firstUpload: response.firstUpload, count: response.count,
        chunkBytes: Int(response.chunkSize), groups: try response.groups.map(GroupRoute.init),
        goodUntil: now.advanced(by: min(half, self.configuration.leasedGroupsLifetime)))
    }
  }

  /// Other groups for an upload that is under way. Asks once: what to do when there are none is for
  /// the caller's plan to say.
  ///
  /// - Throws: `StoreError`; `RPCError` when the caller is refused; `CancellationError`.
  func otherGroups(
    for session: UploadSession, avoiding nodes: [NodeID]
  ) async throws -> [GroupRoute] {
    let request = BeginUploadRequest(
      storageClass: session.storageClass.rawValue, groups: configuration.groupsPerUpload,
      avoidNodes: nodes.map(\.value), continuedUpload: session.upload)
    let response = try await callDirectory(patience: .zero) { directory, options in
      try await directory.beginUpload(request, options: options)
    }
    return try response.groups.map(GroupRoute.init)
  }

  /// The nodes that are up, or silent for so short a time that they may come back, as the Directory says, asked once;
  /// nil while it can't be asked.
  ///
  /// - Throws: `StoreError`; `RPCError` when the caller is refused; `CancellationError`.
  func nodesUp() async throws -> [NodeID]? {
    do {
      let response = try await callDirectory(patience: .zero) { directory, options in
        try await directory.listNodes(ListNodesRequest(), options: options)
      }
      return response.nodes.filter { [.up, .suspect].contains($0.state) }.map { NodeID($0.id) }
    } catch let error as StoreError where error.code.mayRetry {
      return nil
    }
  }

  /// Leases ids, with groups without the nodes to avoid where there are such, else with any.
  private func beginUpload(
    _ request: BeginUploadRequest, avoiding nodes: [NodeID]
  ) async throws -> BeginUploadResponse {
    var request = request
    if !nodes.isEmpty {
      request.avoidNodes = nodes.map(\.value)
      let careful = request
      do {
        return try await checked(
          callDirectory(patience: .zero) { directory, options in
            try await directory.beginUpload(careful, options: options)
          })
      } catch let error as StoreError where error.code.mayRetry {
        request.avoidNodes = []
      }
    }
    let plain = request
    return try await checked(
      callDirectory(patience: configuration.newUploadPatience) { directory, options in
        try await directory.beginUpload(plain, options: options)
      })
  }

  /// The limits that an answer must keep so that the client stays bounded.
  private func checked(_ response: BeginUploadResponse) throws -> BeginUploadResponse {
    let (_, isBeyond) = response.firstUpload.addingReportingOverflow(UInt64(response.count))
    guard chunkBytes.contains(Int(response.chunkSize)), response.count > 0, !isBeyond,
      !response.groups.isEmpty
    else {
      throw StoreError(
        .internal,
        "the Directory leased \(response.count) uploads from \(response.firstUpload) on, with "
          + "\(response.groups.count) groups and chunks of \(response.chunkSize) bytes")
    }
    return response
  }
}

/// The chunks that this client makes: no larger than a node accepts, and no smaller than a block, so that a file
/// is no more of them than memory has room for.
private let chunkBytes = 64 << 10...64 << 20

extension GroupRoute {
  /// A group as the Directory sent it.
  ///
  /// - Throws: `StoreError.internal` when it has no number or no members.
  init(_ wire: WirePlacementGroup) throws(StoreError) {
    guard wire.id != 0, !wire.members.isEmpty else {
      throw StoreError(.internal, "the Directory sent group \(wire.id) without members")
    }
    self.init(
      id: wire.id, epoch: wire.epoch,
      members: wire.members.map {
        Member(node: NodeID($0.node), address: Address($0.address))
      })
  }
}
