package import NIOCore
package import StoreModel

/// A node's chunks: what a disk engine does for it.
///
/// What `ChunkPut.finish` and `delete` returned from is on disk: it outlives a power cut. Every byte
/// that `ChunkReader.read` gives out was checked against the checksum it was stored with. A chunk that
/// is not here (`notFound`), one that was deleted here (`deleted`, for a week at least unless very many
/// were) and one that is here but damaged (`dataLoss`) are different answers.
///
/// All calls throw `StoreError`; those that wait for memory or for another put also
/// `CancellationError`.
package protocol ChunkStore: Sendable {
  /// The node's own number, drawn when its data directory was made.
  var node: NodeID { get }
  /// The cluster that the data belongs to; empty until `join`.
  var cluster: String { get async }
  /// Whether puts wait for the memory in which others gather their chunks.
  var isShortOfMemory: Bool { get }
  /// What was found wrong with the data directory, by opening it and since, and was not taken before.
  func takeProblems() async -> [ChunkStoreProblem]
  /// Chunks that are damaged, or in a part of the disk that failed: wanted from other replicas.
  func chunksAtRisk() async -> [ChunkID]
  /// Chunks that were found damaged, in order. Each is whole again once it was put again, with the content
  /// that it had.
  func damagedChunks() async -> [ChunkID]
  /// Looks after what is stored until the task is cancelled: gives room back, seals, compacts, verifies.
  func run() async

  /// Binds the data to a cluster for good; durable when it returns.
  ///
  /// - Throws: `StoreError.preconditionFailed` when it belongs to another one.
  func join(cluster: String) async throws

  /// Begins to store a chunk. Nothing is seen of it before `finish`.
  ///
  /// - Throws: `invalidArgument` for a length out of 1 to `ChunkLimits.maxBytes`, `alreadyExists` where
  ///   a chunk of this id has another length, `resourceExhausted` where the disk has no room.
  func beginPut(_ chunk: NewChunk) async throws -> any ChunkPut

  /// Opens a chunk for reading.
  ///
  /// - Throws: `notFound`, `deleted`, `dataLoss`.
  func openChunk(_ id: ChunkID) async throws -> any ChunkReader

  /// What is known of a chunk, read from its own header.
  ///
  /// - Throws: `notFound`, `deleted`, `dataLoss`.
  func stat(_ id: ChunkID) async throws -> ChunkRecord

  /// Removes a chunk, damaged ones too; durable when it returns.
  ///
  /// - Throws: `notFound`, `deleted`.
  func delete(_ id: ChunkID) async throws

  /// The chunks after `id` in the order of their ids, without damaged ones. Those that are stored while
  /// somebody goes from page to page may be missing in it. Nothing else is silently: chunks that couldn't
  /// be read are named, and where a whole disk is not used, an error stands behind the last chunk.
  ///
  /// - Parameters:
  ///   - id: where the page before ended; nil: from the first.
  ///   - limit: the most chunks to give, from 1.
  /// - Returns: the chunks, and where to go on.
  /// - Throws: `internal` after the last chunk, when a disk is not used.
  func list(after id: ChunkID?, limit: Int) async throws -> ChunkPage

  /// How full it is.
  func statistics() async throws -> NodeStatistics

  /// Gives back the disk's lock. No call may come after it.
  func close() async
}

/// A chunk on its way in. Used by one task at a time.
package protocol ChunkPut: Sendable {
  /// Takes the chunk's next bytes, of any number; waits while memory or the disk is busy.
  ///
  /// - Throws: `invalidArgument` beyond the announced length; `resourceExhausted`, `internal` when the
  ///   disk is full or fails. The put is of no use afterwards: `cancel` it.
  func append(_ bytes: ByteBuffer) async throws

  /// Makes the chunk durable and visible.
  ///
  /// - Parameter checksum: CRC-32C of the whole chunk as its writer has it.
  /// - Returns: the chunk as stored; when it was here with the same content before, that one.
  /// - Throws: `dataLoss` when the bytes have another checksum, `invalidArgument` when bytes are
  ///   missing, `alreadyExists` when the chunk is here with other content, and what `append` throws.
  func finish(checksum: UInt32) async throws -> ChunkRecord

  /// The same for a copy that mends a damaged chunk: a chunk that was deleted meanwhile stays deleted.
  ///
  /// - Parameter checksum: CRC-32C of the whole chunk as its writer has it.
  /// - Returns: the chunk as stored.
  /// - Throws: `deleted` when it was, and what `finish` throws.
  func mend(checksum: UInt32) async throws -> ChunkRecord

  /// Gives up: nothing is left of the put. Needed after an error; harmless otherwise.
  func cancel() async
}

/// A chunk that was opened for reading; it can be read to its end even if it is deleted meanwhile.
package protocol ChunkReader: Sendable {
  /// The chunk.
  var record: ChunkRecord { get }
  /// Reads whole blocks and verifies them.
  ///
  /// - Parameter blocks: which 64 KiB blocks, from 0; within the chunk and not empty.
  /// - Returns: the blocks' bytes.
  /// - Throws: `dataLoss` when one of them is damaged, `internal` when the disk fails.
  func read(blocks: Range<Int>) async throws -> VerifiedBlocks
  /// Ends the reading.
  func close() async
}

/// A chunk to be stored.
package struct NewChunk: Sendable, Hashable {
  /// Its name.
  package var id: ChunkID
  /// The group's epoch as the writer knew it.
  package var epoch: UInt64
  /// Bytes: 1 to `ChunkLimits.maxBytes`.
  package var length: UInt32
  /// The file that it is written for.
  package var name: Name

  /// Describes a chunk.
  package init(id: ChunkID, epoch: UInt64, length: UInt32, name: Name) {
    self.id = id
    self.epoch = epoch
    self.length = length
    self.name = name
  }
}

/// A chunk that is stored.
package struct ChunkRecord: Sendable, Hashable {
  /// What it was stored with.
  package var chunk: NewChunk
  /// CRC-32C of all its bytes.
  package var checksum: UInt32

  /// Describes a stored chunk.
  package init(chunk: NewChunk, checksum: UInt32) {
    self.chunk = chunk
    self.checksum = checksum
  }
}

/// Some of a store's chunks.
package struct ChunkPage: Sendable {
  /// Chunks in the order of their ids.
  package var records: [ChunkRecord]
  /// Where the next page begins; nil when this is the last one.
  package var next: ChunkID?
  /// Chunks that should be in the page, but could not be read: with any, the list is not complete.
  package var unread: [ChunkID]

  /// Makes a page.
  package init(records: [ChunkRecord], next: ChunkID?, unread: [ChunkID] = []) {
    self.records = records
    self.next = next
    self.unread = unread
  }
}

/// Neighbouring blocks of a chunk, checked against the checksums they were stored with.
package struct VerifiedBlocks: Sendable {
  /// Where in the chunk they begin: a multiple of 64 KiB.
  package var offset: UInt32
  /// CRC-32C of each block.
  package var checksums: [UInt32]
  /// Their bytes; the chunk's last block may be short.
  package var bytes: ByteBuffer
  /// Whether the disk had to be waited for.
  package var hasWaited: Bool

  /// Makes a piece of a chunk.
  package init(offset: UInt32, checksums: [UInt32], bytes: ByteBuffer, hasWaited: Bool = true) {
    self.offset = offset
    self.checksums = checksums
    self.bytes = bytes
    self.hasWaited = hasWaited
  }
}

/// Something that was found wrong with a data directory.
package struct ChunkStoreProblem: Sendable, Hashable {
  /// Where it was found.
  package var path: String
  /// What is wrong and what was done about it.
  package var message: String

  /// Describes a problem.
  package init(path: String, message: String) {
    self.path = path
    self.message = message
  }
}

/// What a store takes at most.
package enum ChunkLimits {
  /// Bytes of the largest chunk: 64 MiB.
  package static let maxBytes: UInt32 = 64 << 20
}

extension ChunkStore {
  /// Stores a chunk that `body` sends and finishes; gives up when it throws.
  package func put<Result>(
    _ chunk: NewChunk, _ body: (any ChunkPut) async throws -> Result
  ) async throws -> Result {
    let put = try await beginPut(chunk)
    do {
      return try await body(put)
    } catch {
      await put.cancel()
      throw error
    }
  }

  /// Opens a chunk for `body` and closes it afterwards.
  package func withChunk<Result>(
    _ id: ChunkID, _ body: (any ChunkReader) async throws -> Result
  ) async throws -> Result {
    let reader = try await openChunk(id)
    do {
      let result = try await body(reader)
      await reader.close()
      return result
    } catch {
      await reader.close()
      throw error
    }
  }
}

extension ChunkReader {
  /// Reads blocks in pieces, in order. Once the disk had to be waited for, the next ones are read and verified
  /// while `body` has one; what is in the system's memory is there sooner than another task would be.
  ///
  /// - Parameters:
  ///   - blocks: which 64 KiB blocks, from 0; within the chunk and not empty.
  ///   - pieceBlocks: blocks of a piece, from 1; the last piece may have fewer.
  ///   - ahead: the most pieces that wait in memory for `body`, or are being read for it.
  ///   - body: what is done with each piece.
  /// - Throws: what `read` and `body` throw.
  package func read(
    blocks: Range<Int>, pieceBlocks: Int, ahead: Int = 2,
    _ body: (VerifiedBlocks) async throws -> Void
  ) async throws {
    var rest = blocks
    var hasWaited = false
    while !rest.isEmpty, !hasWaited || ahead == 0 {
      let piece = try await read(
        blocks: rest.lowerBound..<min(rest.lowerBound + pieceBlocks, rest.upperBound))
      hasWaited = piece.hasWaited
      rest = min(rest.lowerBound + pieceBlocks, rest.upperBound)..<rest.upperBound
      try await body(piece)
    }
    if !rest.isEmpty {
      try await readAhead(blocks: rest, pieceBlocks: pieceBlocks, ahead: ahead, body)
    }
  }

  private func readAhead(
    blocks: Range<Int>, pieceBlocks: Int, ahead: Int,
    _ body: (VerifiedBlocks) async throws -> Void
  ) async throws {
    let pieces = stride(from: blocks.lowerBound, to: blocks.upperBound, by: pieceBlocks)
      .map { $0..<min($0 + pieceBlocks, blocks.upperBound) }
    try await withThrowingTaskGroup(of: (Int, VerifiedBlocks).self) { group in
      var begun = 0
      var ready: [Int: VerifiedBlocks] = [:]
      for current in pieces.indices {
        while begun < pieces.count, begun <= current + ahead {
          let number = begun
          group.addTask { (number, try await read(blocks: pieces[number])) }
          begun += 1
        }
        while ready[current] == nil, let (number, piece) = try await group.next() {
          ready[number] = piece
        }
        guard let piece = ready.removeValue(forKey: current) else { return }
        try await body(piece)
      }
    }
  }
}
