import RPC
import Schema
import StoreModel
import StoreProtocol
import Synchronization

/// A Directory that keeps names in memory; see `FakeCluster` for how it fails.
struct FakeDirectory: DirectoryService {
  let cluster: FakeCluster

  /// Counts down the calls that are refused.
  private func refuseIfTold() throws {
    let (refuses, pushback) = cluster.state.withLock { state -> (Bool, Int64?) in
      guard state.refusals > 0 else { return (false, nil) }
      state.refusals -= 1
      return (true, state.pushback)
    }
    guard refuses else { return }
    let refusal = RPCError(.unavailable, "not now")
    guard let pushback else { throw refusal }
    throw refusal.with(
      Google_Rpc_RetryInfo(retryDelay: Google_Protobuf_Duration(seconds: pushback)))
  }

  func beginUpload(
    _ request: BeginUploadRequest, context: CallContext
  ) async throws -> BeginUploadResponse {
    try refuseIfTold()
    return try cluster.state.withLock { state in
      state.begins.append(request)
      let members = state.nodes.keys.sorted().filter { !request.avoidNodes.contains($0) }
      guard members.count >= 2 else { throw RPCError(.unavailable, "too few nodes are up") }
      let first = state.nextUpload
      let count = request.continuedUpload == 0 ? max(1, request.count) : 0
      state.nextUpload += UInt64(count)
      let mask = members.reduce(UInt32(0)) { $0 | 1 << UInt32($1) }
      let groups = (0..<Int(max(1, request.groups))).map { turn in
        let place = turn % members.count
        return WirePlacementGroup(
          id: mask * 100 + UInt32(turn), epoch: 1, storageClass: request.storageClass,
          members: (members[place...] + members[..<place]).map {
            WireGroupMember(node: $0, address: "node-\($0):1")
          })
      }
      var response = BeginUploadResponse(
        firstUpload: request.continuedUpload == 0 ? first : request.continuedUpload,
        count: max(1, count), groups: groups, chunkSize: state.chunkBytes, leaseUs: 60_000_000)
      state.changeLease?(&response)
      return response
    }
  }

  func commitUpload(
    _ request: CommitUploadRequest, context: CallContext
  ) async throws -> CommitUploadResponse {
    try refuseIfTold()
    return try cluster.state.withLock { state in
      if let receipt = state.receipts[request.upload] { return receipt }
      guard let name = request.name, let manifest = request.manifest else {
        throw RPCError(.invalidArgument, "incomplete")
      }
      try Manifest(manifest).check(upload: request.upload)
      if Condition(request.condition) == .absent, state.files[name] != nil {
        throw RPCError(.alreadyExists, "it exists")
      }
      let entry = WireEntry(
        name: name, version: state.nextVersion, size: manifest.size, checksum: manifest.checksum,
        storageClass: manifest.storageClass)
      state.nextVersion += 1
      let groups = Set(manifest.chunks.compactMap { $0.id?.group }).sorted().map { id in
        let members = state.nodes.keys.sorted().filter { id / 100 & 1 << UInt32($0) != 0 }
        return WirePlacementGroup(
          id: id, epoch: 1,
          members: members.map { WireGroupMember(node: $0, address: "node-\($0):1") })
      }
      state.files[name] = OpenFileResponse(entry: entry, manifest: manifest, groups: groups)
      var receipt = CommitUploadResponse(
        entry: entry, copies: UInt32(groups.map(\.members.count).min() ?? 3), targetCopies: 3,
        fsynced: true, nodes: Set(groups.flatMap { $0.members.map(\.node) }).sorted())
      state.changeReceipt?(&receipt)
      state.receipts[request.upload] = receipt
      if state.lostCommitAnswers > 0 {
        state.lostCommitAnswers -= 1
        throw RPCError(.unavailable, "the answer is lost")
      }
      return receipt
    }
  }

  func abortUpload(
    _ request: AbortUploadRequest, context: CallContext
  ) async throws -> AbortUploadResponse {
    cluster.aborting.yield(request.upload)
    return AbortUploadResponse()
  }

  func openFile(_ request: OpenFileRequest, context: CallContext) async throws -> OpenFileResponse {
    try refuseIfTold()
    return try cluster.state.withLock { state in
      guard let name = request.name, let file = state.files[name] else {
        throw RPCError(.notFound, "there is no such file")
      }
      return file
    }
  }

  func getEntry(_ request: GetEntryRequest, context: CallContext) async throws -> GetEntryResponse {
    let file = try await openFile(OpenFileRequest(name: request.name), context: context)
    return GetEntryResponse(
      entry: file.entry, copies: 3, targetCopies: 3,
      chunks: UInt32(file.manifest?.chunks.count ?? 0))
  }

  func listEntries(
    _ request: ListEntriesRequest, context: CallContext
  ) async throws -> ListEntriesResponse {
    cluster.state.withLock { state in
      let found = state.files.values.compactMap(\.entry).filter {
        let key = $0.name?.key ?? ""
        return key.hasPrefix(request.prefix) && key > request.after
      }.sorted { ($0.name?.key ?? "") < ($1.name?.key ?? "") }
      let page = Array(found.prefix(Int(request.limit)))
      return ListEntriesResponse(
        entries: page, nextAfter: page.count < found.count ? page.last?.name?.key ?? "" : "")
    }
  }

  func deleteEntry(
    _ request: DeleteEntryRequest, context: CallContext
  ) async throws -> DeleteEntryResponse {
    try cluster.state.withLock { state in
      guard let name = request.name, let file = state.files.removeValue(forKey: name) else {
        throw RPCError(.notFound, "there is no such file")
      }
      return DeleteEntryResponse(version: file.entry?.version ?? 0)
    }
  }

  func registerNode(
    _ request: RegisterNodeRequest, context: CallContext
  ) async throws -> RegisterNodeResponse {
    throw RPCError(.unimplemented, "not here")
  }

  func heartbeat(
    _ requests: MessageReader<HeartbeatRequest>, responses: MessageWriter<HeartbeatResponse>,
    context: CallContext
  ) async throws {
    throw RPCError(.unimplemented, "not here")
  }

  func renameEntry(
    _ request: RenameEntryRequest, context: CallContext
  ) async throws -> RenameEntryResponse {
    throw RPCError(.permissionDenied, "not allowed")
  }

  func copyEntry(
    _ request: CopyEntryRequest, context: CallContext
  ) async throws -> CopyEntryResponse {
    throw RPCError(.failedPrecondition, "the version is another")
  }

  func listNodes(
    _ request: ListNodesRequest, context: CallContext
  ) async throws -> ListNodesResponse {
    cluster.state.withLock { state in
      ListNodesResponse(
        nodes: state.nodes.keys.sorted().map { WireNodeDescription(id: $0, state: .up) })
    }
  }

  func getStatus(
    _ request: GetStatusRequest, context: CallContext
  ) async throws -> GetStatusResponse {
    GetStatusResponse(cluster: "fake", nodesUp: 3)
  }

  func getGroup(_ request: GetGroupRequest, context: CallContext) async throws -> GetGroupResponse {
    throw RPCError(.notFound, "clients don't ask for groups")
  }
}
