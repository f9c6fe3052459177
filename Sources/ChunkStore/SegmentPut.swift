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
  /// Whether a large chunk's record may have been written to its place.
  private var mayBeWritten = false
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
    // Until it is known that it wasn't written, it may have been.
    mayBeWritten = true
    let (result, isWritten) = await store.store(header, body: body, mends: mends)
    mayBeWritten = isWritten
    let record = try result.get()
    await cancel()
    return record
  }

  func cancel() async {
    isOver = true
    // How the writes went no longer matters, but their memory is in use until they end.
    try? await waitForWrites()
    if let buffer {
      self.buffer = nil
      store.staging.give(buffer)
    }
    file = nil
    if let extent {
      self.extent = nil
      store.endLarge(chunk.id, extent, unused: mayBeWritten ? nil : extentBytes)
    }
  }

  /// Bytes that a large chunk's record takes.
  private var extentBytes: Int {
    RecordHeader.bytes(for: chunk, isAligned: true) + DiskBuffer.roundUp(Int(chunk.length))
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
      store.staging.give(taken)
      throw SegmentPut.over
    }
    buffer = taken
    return taken
  }

  /// The place of a large chunk's record, with room for all of it.
  private func takeExtent() async throws(StoreError) -> RecordPlace {
    if let extent { return extent }
    let place = try await store.extent(
      bytes: extentBytes, records: 1, use: .put, large: chunk.id)
    guard !isOver else {
      store.endLarge(chunk.id, place, unused: extentBytes)
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
  /// - Returns: the chunk as stored, or why it isn't: `alreadyExists` when it is here with other content; `deleted`
  ///   when `mends` and it was; and what the disk throws. And whether its record was written, or may have been.
  func store(
    _ header: RecordHeader, body: Commit.Body, mends: Bool
  ) async -> (result: Result<ChunkRecord, any Error>, isWritten: Bool) {
    let id = header.record.chunk.id
    await turns.take(.chunk(id))
    defer { turns.end(.chunk(id)) }
    var header = header
    do {
      if let stored = try await find(&header, body: body, mends: mends) {
        return (.success(stored), false)
      }
    } catch {
      return (.failure(error), false)
    }
    let result = await commit(Commit(header: header, body: body, use: .put))
    return (result.map(\.record).mapError { $0 }, true)
  }

  /// Finds a chunk that is to be stored here already; else fills in what its record will supersede.
  private func find(
    _ header: inout RecordHeader, body: Commit.Body, mends: Bool
  ) async throws -> ChunkRecord? {
    let id = header.record.chunk.id
    let (known, isDeleted) = shell.withLock { ($0.state.index[id], $0.state.isDeleted(id)) }
    if mends, isDeleted { throw StoreError.noChunk(id, isDeleted: true) }
    if case .placed = body, shell.withLock({ $0.state.isOvertaken(id, at: header.place) }) {
      throw StoreError(.internal, "chunk \(id) was deleted while it came in: store it again")
    }
    guard let known else { return nil }
    // Also where it is damaged: what it was is known as long as its header is whole.
    let found = try await verifiedHeader(of: id)
    let isSame =
      found.header.map { $0.blocks == header.blocks }
      ?? (known.length == header.record.chunk.length)
    guard isSame else { throw StoreError.conflict(id) }
    if found.isSound, let stored = found.header, !known.isDoubtful { return stored.record }
    header.superseded = known.place
    return nil
  }

  /// Ends what a large chunk had; see `endExtent`.
  func endLarge(_ id: ChunkID, _ place: RecordPlace, unused: Int? = nil) {
    shell.withLock { $0.state.endLarge(id) }
    endExtent(place, unused: unused)
  }

  /// Ends an extent.
  ///
  /// - Parameters:
  ///   - place: where it is.
  ///   - unused: bytes of it, where no record was written there: their room is given back.
  func endExtent(_ place: RecordPlace, unused: Int? = nil) {
    shell.withLock { shell in
      if let unused {
        shell.state.segments[place.segment]?.dead.append(place.offset..<place.offset + unused)
      }
      shell.state.endExtent(place)
    }
    upkeepBell.continuation.yield()
  }

  /// The file to write a segment's records to.
  func writer(of number: UInt32) -> (any DiskFile)? {
    shell.withLock { $0.state.segments[number]?.writer }
  }
}
