import ChunkStore
import Schema
import StoreModel
import StoreProtocol

/// What a put is to do, out of its first message, and which messages may follow: the rules, no I/O.
struct ChunkPlan: Sendable {
  /// The chunk.
  let chunk: NewChunk
  /// The other replicas.
  let forward: [WireGroupMember]
  /// Bytes of the chunk that came so far.
  private(set) var received = 0

  /// Whether all bytes are here.
  var isComplete: Bool {
    received == chunk.length
  }

  /// Checks a put's first message.
  ///
  /// - Throws: `StoreError.invalidArgument` that says what is wrong with it.
  init(_ first: PutChunkRequest, node: NodeID) throws(StoreError) {
    guard let header = first.header else {
      throw StoreError(.invalidArgument, "the first message of a put has no header")
    }
    guard (1...ChunkLimits.maxBytes).contains(header.length) else {
      throw StoreError(
        .invalidArgument,
        "a chunk has 1 to \(ChunkLimits.maxBytes) bytes, the header says \(header.length)")
    }
    chunk = NewChunk(
      id: try ChunkID(header.id), epoch: header.epoch, length: header.length,
      name: try Name(header.name))
    guard first.forward.count <= NodeLimits.maxForwards else {
      throw StoreError(
        .invalidArgument,
        "a put names at most \(NodeLimits.maxForwards) other replicas, not \(first.forward.count)")
    }
    let others = first.forward.map(\.node)
    guard !others.contains(0), !others.contains(node.value), Set(others).count == others.count
    else {
      throw StoreError(
        .invalidArgument, "a put's other replicas are different nodes, and not this one")
    }
    guard first.forward.allSatisfy({ !$0.address.isEmpty }) else {
      throw StoreError(.invalidArgument, "another replica has no address")
    }
    forward = first.forward
  }

  /// Takes a message's bytes into account.
  ///
  /// - Parameters:
  ///   - message: the first or a later one.
  ///   - isFirst: which of the two.
  /// - Returns: what to pass on to other replicas.
  /// - Throws: `StoreError.invalidArgument` when it must not come at this place.
  mutating func take(
    _ message: PutChunkRequest, isFirst: Bool
  ) throws(StoreError) -> PutChunkRequest {
    let count = message.data.count
    guard isFirst || (message.header == nil && message.forward.isEmpty) else {
      throw StoreError(.invalidArgument, "a later message of a put has a header of its own")
    }
    guard isFirst || count > 0 else {
      throw StoreError(.invalidArgument, "a message of a put has no bytes")
    }
    guard count <= NodeLimits.maxPieceBytes else {
      throw StoreError(
        .invalidArgument,
        "a piece has at most \(NodeLimits.maxPieceBytes) bytes, this one has \(count)")
    }
    guard received + count <= chunk.length else {
      throw StoreError(
        .invalidArgument,
        "chunk \(chunk.id) was announced with \(chunk.length) bytes, but more came")
    }
    received += count
    return PutChunkRequest(
      header: message.header, forward: [], checksum: message.checksum, data: message.data)
  }
}
