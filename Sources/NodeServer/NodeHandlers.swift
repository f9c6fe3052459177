import ChunkStore
import Logging
import RPC
import Schema
import StoreModel
import StoreProtocol

/// What a node does for those who call it: the store's answers as messages.
struct NodeHandlers: NodeService {
  let store: any ChunkStore
  let groupWrite: GroupWrite
  let configuration: NodeConfiguration
  let time: any TimeSource
  let address: OwnAddress
  let logger: Logger

  func putChunk(
    _ requests: MessageReader<PutChunkRequest>, context: CallContext
  ) async throws -> PutChunkResponse {
    try await answering(context) {
      try await IdleWatch.run(
        limit: configuration.writerIdleLimit,
        pressure: IdleWatch.Pressure(
          patience: configuration.writerPatience, bytesPerSecond: NodeLimits.leastBytesPerSecond,
          isOn: { store.isShortOfMemory }),
        time: time, error: RPCError(.deadlineExceeded, "the writer sent too little for too long")
      ) { watch in
        try await groupWrite.run(requests, watch: watch)
      }
    }
  }

  func getChunk(
    _ request: GetChunkRequest, responses: MessageWriter<GetChunkResponse>, context: CallContext
  ) async throws {
    try await answering(context) {
      try await store.withChunk(try ChunkID(request.id)) { reader in
        let length = reader.record.chunk.length
        guard request.offset < length, request.length <= length - request.offset else {
          throw RPCError(
            .outOfRange,
            "chunk \(reader.record.chunk.id) has \(length) bytes; asked for \(request.length) at "
              + "\(request.offset)")
        }
        let end = request.length == 0 ? length : request.offset + request.length
        let blockBytes: UInt32 = 65_536
        let blocks =
          Int(request.offset / blockBytes)..<Int((end + blockBytes - 1) / blockBytes)
        try await reader.read(blocks: blocks, pieceBlocks: NodeLimits.blocksAMessage) { piece in
          try await responses.write(
            GetChunkResponse(
              offset: piece.offset, blockChecksums: piece.checksums, data: Body(piece.bytes)))
        }
      }
    }
  }

  func statChunk(
    _ request: StatChunkRequest, context: CallContext
  ) async throws -> StatChunkResponse {
    try await answering(context) {
      StatChunkResponse(try await store.stat(try ChunkID(request.id)))
    }
  }

  func deleteChunk(
    _ request: DeleteChunkRequest, context: CallContext
  ) async throws -> DeleteChunkResponse {
    try await answering(context) {
      try await store.delete(try ChunkID(request.id))
      return DeleteChunkResponse()
    }
  }

  func listChunks(
    _ request: ListChunksRequest, responses: MessageWriter<ListChunksResponse>,
    context: CallContext
  ) async throws {
    try await answering(context) {
      var after: ChunkID? = try request.after.map { id throws(StoreError) in try ChunkID(id) }
      var unread: [ChunkID] = []
      repeat {
        let page = try await store.list(after: after, limit: NodeLimits.chunksAMessage)
        if !page.records.isEmpty {
          try await responses.write(
            ListChunksResponse(chunks: page.records.map { StatChunkResponse($0) }))
        }
        // All that can be read is given first; but nobody may take it for all there is.
        if unread.isEmpty { unread = page.unread }
        after = page.next
      } while after != nil
      if let first = unread.first {
        throw StoreError(
          .internal, "the list is not complete: chunk \(first), at least, can't be read")
      }
    }
  }

  func getNodeStatus(
    _ request: GetNodeStatusRequest, context: CallContext
  ) async throws -> GetNodeStatusResponse {
    try await answering(context) {
      let record = NodeRecord(
        id: store.node, address: address.value.description, zone: configuration.zone)
      let node = WireNodeDescription(
        record, state: .up, statistics: try await store.statistics(), lastHeartbeatMicroseconds: 0)
      return GetNodeStatusResponse(node: node, cluster: await store.cluster)
    }
  }

  func echo(
    _ requests: MessageReader<EchoRequest>, responses: MessageWriter<EchoResponse>,
    context: CallContext
  ) async throws {
    for try await request in requests {
      try await responses.write(EchoResponse(payload: request.payload, data: request.data))
    }
  }

  /// Runs a handler; the store's errors become statuses, and damage is logged.
  private func answering<Result>(
    _ context: CallContext, _ body: () async throws -> Result
  ) async throws -> Result {
    do {
      return try await body()
    } catch let error as StoreError {
      if error.code == .dataLoss || error.code == .internal {
        logger.error("\(context.path) from \(context.peer): \(error.message)")
      }
      throw RPCError(error)
    }
  }
}

extension StatChunkResponse {
  /// A stored chunk as a message.
  init(_ record: ChunkRecord) {
    let chunk = record.chunk
    self.init(
      header: ChunkHeader(
        id: WireChunkId(chunk.id), epoch: chunk.epoch, length: chunk.length,
        name: WireName(chunk.name)),
      checksum: record.checksum)
  }
}
