import Checksum
import NIOCore
import StoreModel
import Synchronization

/// A chunk on its way into a `SegmentStore`.
///
/// A small chunk is gathered in memory and goes to the disk together with others. A large one goes to an
/// extent of its own, past the page cache, as it comes in: while some parts of the buffer are written, the
/// next is filled; its header is written last. Either way a byte is copied once, into aligned memory,
/// and summed while it is in the cache.
actor SegmentPut: ChunkPut {
  /// The memory in which a large chunk's bytes are gathered.
  static let bufferBytes = 1 << 20
  /// In how many parts it is written: the disk has the next write before it ends the last one.
  private static let parts = 2

  private let store: SegmentStore
  private let chunk: NewChunk
  private let isSmall: Bool
  /// Bytes of the memory that this put takes.
  private let bufferSize: Int

  private var checksums: BlockChecksums
  private var buffer: DiskBuffer?
  /// Where in `buffer` the next byte goes.
  private var end = 0
  /// Where in `buffer` the part that is filled begins.
  private var start = 0
  /// Bytes of the payload whose writing has begun.
  private var written = 0
  /// The writing of other parts, in the order of their places in the chunk.
  private var pending: [any DiskOperation] = []
  /// Where a large chunk's record stands.
  private var extent: RecordPlace?
  private var file: (any DiskFile)?
  private var isOver = false

  /// Begins a put; nothing is on disk yet.
  init(store: SegmentStore, chunk: NewChunk) {
    self.store = store
    self.chunk = chunk
    let whole = RecordHeader.bytes(for: chunk, isAligned: false) + Int(chunk.length)
    isSmall = whole <= Segment.maxGatheredBytes
    bufferSize =
      isSmall
      ? Int(chunk.length)
      : min(
        SegmentPut.bufferBytes, max(DiskBuffer.roundUp(Int(chunk.length)), RecordHeader.maxBytes))
    checksums = BlockChecksums(expectedBytes: Int(chunk.length))
  }

  func append(_ bytes: ByteBuffer) async throws {
    try checkOpen()
    guard checksums.byteCount + bytes.readableBytes <= chunk.length else {
      throw StoreError(
        .invalidArgument,
        "chunk \(chunk.id) was announced with \(chunk.length) bytes, but more came")
    }
    let buffer = try await takeBuffer()
    var rest = bytes
    while rest.readableBytes > 0 {
      let room = start + partBytes - end
      guard let part = rest.readSlice(length: min(room, rest.readableBytes)) else { break }
      part.withUnsafeReadableBytes { source in
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[end...])
        checksums.update(source, copyingTo: target)
      }
      end += part.readableBytes
      if !isSmall, end == start + partBytes { try await writePart(buffer) }
    }
  }

  func finish(checksum: UInt32) async throws -> ChunkRecord {
    try await finish(checksum: checksum, mends: false)
  }

  func mend(checksum: UInt32) async throws -> ChunkRecord {
    try await finish(checksum: checksum, mends: true)
  }

  private func finish(checksum: UInt32, mends: Bool) async throws -> ChunkRecord {
    try checkOpen()
    guard checksums.byteCount == chunk.length else {
      throw StoreError(
        .invalidArgument,
        "chunk \(chunk.id) was announced with \(chunk.length) bytes, but "
          + "\(checksums.byteCount) came")
    }
    let blocks = checksums.blocks
    let whole = BlockChecksums.whole(blocks: blocks, bytes: checksums.byteCount)
    guard whole == checksum else {
      throw StoreError(
        .dataLoss,
        "chunk \(chunk.id) was damaged on its way: its bytes' checksum is not its writer's")
    }
    var header = RecordHeader.chunk(
      ChunkRecord(chunk: chunk, checksum: whole), blocks: blocks, superseding: nil,
      isAligned: !isSmall)
    let buffer = try await takeBuffer()
    var body = Commit.Body.gathered(buffer)
    if !isSmall {
      if end > start { try await writePart(buffer) }
      try await waitForWrites()
      header.place = try await takeExtent()
      body = .placed(buffer)
    }
    let record = try await store.store(header, body: body, mends: mends)
    await cancel()
    return record
  }

  func cancel() async {
    isOver = true
    // How the writes went no longer matters, but their memory is in use until they end.
    try? await waitForWrites()
    if let buffer {
      self.buffer = nil
      store.staging.give(buffer, bufferSize)
    }
    file = nil
    if let extent {
      self.extent = nil
      store.endLarge(chunk.id, extent)
    }
  }

  /// Bytes of the part of the buffer that is filled before it is written.
  private var partBytes: Int {
    isSmall || bufferSize < SegmentPut.bufferBytes ? bufferSize : bufferSize / SegmentPut.parts
  }

  /// Begins to write the part that was filled, and goes to the next one as soon as that is free.
  private func writePart(_ buffer: DiskBuffer) async throws {
    let extent = try await takeExtent()
    guard let file else { throw StoreError(.internal, "chunk \(chunk.id) lost its segment") }
    let padded = start + DiskBuffer.roundUp(end - start)
    buffer.zero(end..<padded)
    let headerBytes = RecordHeader.bytes(for: chunk, isAligned: true)
    pending.append(
      file.beginWrite(buffer, start..<padded, at: extent.offset + headerBytes + written))
    written += end - start
    start = (start + partBytes) % bufferSize
    end = start
    if pending.count == bufferSize / partBytes { try await waitForWrite() }
  }

  /// Waits for all writes that are under way, whatever becomes of one of them.
  private func waitForWrites() async throws(StoreError) {
    var failure: StoreError?
    while !pending.isEmpty {
      do throws(StoreError) {
        try await waitForWrite()
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  /// Waits for the first of the writes that are under way.
  private func waitForWrite() async throws(StoreError) {
    do throws(StoreError) {
      try await pending.removeFirst().finish()
    } catch {
      if let extent { store.fail(extent.segment, error) }
      throw error
    }
  }

  /// The memory to gather in.
  private func takeBuffer() async throws -> DiskBuffer {
    if let buffer { return buffer }
    let taken = try await store.staging.take(bufferSize)
    guard !isOver else {
      store.staging.give(taken, bufferSize)
      throw SegmentPut.over
    }
    buffer = taken
    return taken
  }

  /// The place of a large chunk's record, with room for all of it.
  private func takeExtent() async throws(StoreError) -> RecordPlace {
    if let extent { return extent }
    let bytes =
      RecordHeader.bytes(for: chunk, isAligned: true) + DiskBuffer.roundUp(Int(chunk.length))
    let place = try await store.extent(bytes: bytes, records: 1, use: .put, large: chunk.id)
    guard !isOver else {
      store.endLarge(chunk.id, place)
      throw SegmentPut.over
    }
    extent = place
    file = store.writer(of: place.segment)
    return place
  }

  private func checkOpen() throws(StoreError) {
    if isOver { throw SegmentPut.over }
  }

  private static let over = StoreError(.internal, "the put is over already")
}

extension SegmentStore {
  /// Makes a chunk durable and visible, or finds it here with the same content. One at a time for each
  /// chunk.
  ///
  /// - Parameters:
  ///   - header: of its record; what it supersedes is filled in.
  ///   - body: its bytes.
  ///   - mends: whether a chunk that was deleted stays so.
  /// - Returns: the chunk as stored.
  /// - Throws: `alreadyExists` when it is here with other content; `deleted` when `mends` and it was;
  ///   and what the disk throws.
  func store(
    _ header: RecordHeader, body: Commit.Body, mends: Bool
  ) async throws -> ChunkRecord {
    let id = header.record.chunk.id
    await turns.take(.chunk(id))
    defer { turns.end(.chunk(id)) }
    var header = header
    let (known, isDeleted) = shell.withLock { ($0.state.index[id], $0.state.deleted[id] != nil) }
    if mends, isDeleted { throw StoreError.noChunk(id, isDeleted: true) }
    if case .placed = body, shell.withLock({ $0.state.isOvertaken(id, at: header.place) }) {
      throw StoreError(.internal, "chunk \(id) was deleted while it came in: store it again")
    }
    if let known {
      // Also where it is damaged: what it was is known as long as its header is whole.
      let found = try await verifiedHeader(of: id)
      let isSame =
        found.header.map { $0.blocks == header.blocks }
        ?? (known.length == header.record.chunk.length)
      guard isSame else { throw StoreError.conflict(id) }
      if found.isSound, let stored = found.header, !known.isDoubtful { return stored.record }
      header.superseded = known.place
    }
    return try await commit(Commit(header: header, body: body, use: .put)).get().record
  }

  /// Ends what a large chunk had, stored or not.
  func endLarge(_ id: ChunkID, _ place: RecordPlace) {
    shell.withLock { $0.state.endLarge(id) }
    endExtent(place)
  }

  /// Ends an extent, used or not.
  func endExtent(_ place: RecordPlace) {
    shell.withLock { $0.state.endExtent(place) }
    upkeepBell.continuation.yield()
  }

  /// The file to write a segment's records to.
  func writer(of number: UInt32) -> (any DiskFile)? {
    shell.withLock { $0.state.segments[number]?.writer }
  }
}
