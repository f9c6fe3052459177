import Checksum
import Logging
public import NIOCore
import RPC
public import StoreModel
import StoreProtocol
import Synchronization

extension StoreClient {
  /// Reads a file, or a range of its bytes, and hands the bytes to `sink` in order.
  ///
  /// Every byte was compared to its checksums before `sink` sees it. Memory holds a few chunks,
  /// whatever the file's size: while `sink` works, no more is fetched than these.
  ///
  /// - Parameters:
  ///   - name: the file.
  ///   - range: bytes from the file's start, clipped to its size; nil: all.
  ///   - opened: called once before the first byte with the version that is read.
  ///   - progress: called after each chunk.
  ///   - sink: called with the next bytes, one call at a time.
  /// - Returns: the version that was read.
  /// - Throws: `StoreError`: `notFound`, `invalidArgument` for a range behind the end, `dataLoss` when no
  ///   replica is whole, `aborted` when the file was replaced while a replica was sought, `unavailable`;
  ///   `RPCError` when the caller is refused; what `sink` throws; `CancellationError`.
  @discardableResult
  public func download(
    _ name: Name, range: Range<UInt64>? = nil, opened: (@Sendable (Entry) -> Void)? = nil,
    progress: (@Sendable (TransferProgress) -> Void)? = nil,
    into sink: @Sendable (ByteBuffer) async throws -> Void
  ) async throws -> Entry {
    let file = try await open(name)
    let plan = try ReadPlan(manifest: file.manifest, range: range)
    opened?(file.entry)
    try await withThrowingTaskGroup(of: (Int, [ByteBuffer]).self) { group in
      var window = ReadWindow<[ByteBuffer]>(
        count: plan.parts.count, width: configuration.chunksReadAhead)
      var done: UInt64 = 0
      while !window.isDone {
        while let item = window.begin() {
          let part = plan.parts[item]
          group.addTask { (item, try await self.fetch(part, of: file)) }
        }
        guard let (item, buffers) = try await group.next() else { break }
        window.finished(item, buffers)
        while let next = window.handOn() {
          for buffer in next {
            try await sink(buffer)
            done += UInt64(buffer.readableBytes)
          }
          progress?(TransferProgress(bytesDone: done, bytesTotal: plan.length))
        }
      }
    }
    return file.entry
  }

  /// Reads a small file into memory.
  ///
  /// - Parameters:
  ///   - name: the file.
  ///   - limit: the most bytes it may have.
  /// - Returns: its bytes.
  /// - Throws: as `download`; `resourceExhausted` when the file is larger than `limit`.
  public func contents(of name: Name, upTo limit: Int) async throws -> ByteBuffer {
    let gathered = GatheredBytes(limit: limit)
    try await download(name) { try gathered.append($0) }
    return gathered.buffer
  }

  /// Fetches one part of a chunk from the replicas one after the other until it is whole.
  private func fetch(_ part: ReadPlan.Part, of file: OpenedFile) async throws -> [ByteBuffer] {
    var search = ReplicaSearch(
      chunk: part.chunk.id, rounds: configuration.readRounds, retry: retryState())
    var action = begin(&search, part: part, of: file)
    while true {
      try Task.checkCancellation()
      switch action {
      case .read(let member):
        do {
          let buffers = try await read(part, from: member)
          noteSuccess(of: member.node)
          return buffers
        } catch let failure as ReplicaFailure {
          logger.info(
            "a replica could not be read",
            metadata: [
              "node": "\(member.node)", "chunk": "\(part.chunk.id)", "reason": "\(failure.message)",
            ])
          if case .unreachable = failure.kind, !failure.isAnswer { noteFailure(of: member.node) }
          action = search.failed(failure.kind, now: time.now, random: random.next())
        }
      case .refresh(let moment):
        try await time.sleep(until: moment)
        try await refresh(file)
        action = begin(&search, part: part, of: file)
      case .giveUp(let error):
        throw error
      }
    }
  }

  private func begin(
    _ search: inout ReplicaSearch, part: ReadPlan.Part, of file: OpenedFile
  ) -> ReplicaSearch.Action {
    let shunned = shunnedNodes()
    return search.begin(
      members: file.route(to: part.chunk.id.group)?.members ?? [], now: time.now,
      random: random.next()
    ) { shunned.contains($0) }
  }

  /// Reads one part from one node and verifies it.
  private func read(
    _ part: ReadPlan.Part, from member: GroupRoute.Member
  ) async throws -> [ByteBuffer] {
    let node = NodeClient(pool.channel(to: member.address, lane: lane(of: part.chunk.id.index)))
    let request = GetChunkRequest(
      id: WireChunkId(part.chunk.id), offset: part.offset, length: part.length)
    do {
      return try await node.getChunk(
        request,
        options: CallOptions(timeout: configuration.getTimeout, runsOnConnection: true)
      ) { messages in
        var assembler = PartAssembler(part)
        while let message = try await messages.next() {
          try assembler.received(
            offset: message.offset, checksums: message.blockChecksums, data: message.data)
        }
        return try assembler.finish()
      }
    } catch let damage as PartAssembler.Damage {
      throw ReplicaFailure(kind: .damaged, message: damage.message)
    } catch let error as RPCError {
      try Task.checkCancellation()
      switch error.code {
      case .dataLoss: throw ReplicaFailure(kind: .damaged, message: error.message)
      case .notFound: throw ReplicaFailure(kind: .missing, message: error.message)
      default:
        let reason = "\(member.address): \(error.message)"
        // A node that can't read one of its disks has others.
        throw ReplicaFailure(
          kind: .unreachable(reason), message: reason, isAnswer: error.code == .internal)
      }
    }
  }
}

/// Why one replica was given up.
private struct ReplicaFailure: Error {
  var kind: ReplicaSearch.Failure
  var message: String
  /// Whether it says something of the chunk, not of its node.
  var isAnswer = false
}

/// Bytes that are gathered up to a limit.
private final class GatheredBytes: Sendable {
  private let limit: Int
  private let bytes = Mutex(ByteBuffer())

  init(limit: Int) {
    self.limit = limit
  }

  var buffer: ByteBuffer {
    bytes.withLock { $0 }
  }

  func append(_ buffer: ByteBuffer) throws(StoreError) {
    let fits = bytes.withLock { bytes in
      guard bytes.readableBytes + buffer.readableBytes <= limit else { return false }
      bytes.writeImmutableBuffer(buffer)
      return true
    }
    guard fits else {
      throw StoreError(.resourceExhausted, "the file has more than \(limit) bytes")
    }
  }
}
