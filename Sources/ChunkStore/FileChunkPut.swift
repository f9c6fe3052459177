import Checksum
import NIOCore
import StoreModel

/// A chunk on its way into a `FileChunkStore`.
///
/// A small chunk is gathered in memory and written, synced and renamed at the end in one go. A large
/// one goes to its file past the page cache, as it comes in; its header is written last. Either way a
/// byte is copied once, into aligned memory, and summed while it is in the cache.
actor FileChunkPut: ChunkPut {
  /// Files up to this many bytes are gathered in memory.
  static let maxGatheredBytes = 256 << 10
  /// A large chunk's bytes are written when so many of them are there.
  static let writeBytes = 256 << 10
  /// The memory in which a large chunk's bytes are gathered.
  static let bufferBytes = 1 << 20

  private let store: FileChunkStore
  private let chunk: NewChunk
  private let temporary: String
  private let headerBytes: Int
  private let isSmall: Bool

  private var checksums: BlockChecksums
  private var buffer: DiskBuffer?
  /// Where in `buffer` the next byte goes.
  private var end = 0
  /// Bytes of the payload that are in the file.
  private var written = 0
  private var file: (any DiskFile)?
  private var isOver = false
  private var mayHaveFile = false

  /// Begins a put; nothing is on disk yet.
  init(store: FileChunkStore, chunk: NewChunk, temporary: String) {
    self.store = store
    self.chunk = chunk
    self.temporary = temporary
    headerBytes = ChunkFileHeader.bytes(for: chunk)
    isSmall = ChunkFileHeader.fileBytes(for: chunk) <= FileChunkPut.maxGatheredBytes
    checksums = BlockChecksums(expectedBytes: Int(chunk.length))
  }

  func append(_ bytes: ByteBuffer) async throws {
    try checkOpen()
    guard checksums.byteCount + bytes.readableBytes <= chunk.length else {
      throw StoreError(
        .invalidArgument,
        "chunk \(chunk.id) was announced with \(chunk.length) bytes, but more came")
    }
    var rest = bytes
    while rest.readableBytes > 0 {
      let buffer = try await takeBuffer()
      let room = isSmall ? bufferSize - end : FileChunkPut.bufferBytes - end
      guard let part = rest.readSlice(length: min(room, rest.readableBytes)) else { break }
      part.withUnsafeReadableBytes { source in
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[end...])
        checksums.update(source, copyingTo: target)
      }
      end += part.readableBytes
      if !isSmall, end >= FileChunkPut.writeBytes { try await writeOut() }
    }
  }

  func finish(checksum: UInt32) async throws -> ChunkRecord {
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
    let header = ChunkFileHeader(
      record: ChunkRecord(chunk: chunk, checksum: whole), blocks: blocks)
    let record = isSmall ? try await finishSmall(header) : try await finishLarge(header)
    await cancel()
    return record
  }

  func cancel() async {
    isOver = true
    giveBuffer()
    await file?.close()
    file = nil
    guard mayHaveFile else { return }
    mayHaveFile = false
    // What can't be removed now is removed when the store opens next.
    try? await store.removeIfThere(temporary)
  }

  /// Writes and publishes a chunk that is all in memory.
  private func finishSmall(_ header: ChunkFileHeader) async throws -> ChunkRecord {
    let buffer = try await takeBuffer()
    let fileBytes = ChunkFileHeader.fileBytes(for: chunk)
    header.encode(into: buffer)
    buffer.zero(end..<fileBytes)
    mayHaveFile = true
    let disk = store.disk
    let temporary = temporary
    return try await store.publish(header) { path in
      try await disk.publish(buffer, bytes: fileBytes, through: temporary, as: path)
    }
  }

  /// Writes what is left of a chunk, its header, and publishes it.
  private func finishLarge(_ header: ChunkFileHeader) async throws -> ChunkRecord {
    let buffer = try await takeBuffer()
    let padded = DiskBuffer.roundUp(end)
    buffer.zero(end..<padded)
    end = padded
    try await writeOut()
    let head = try await takeBuffer()
    header.encode(into: head)
    guard let file else { throw StoreError(.internal, "chunk \(chunk.id) lost its file") }
    try await file.write(head, 0..<headerBytes, at: 0)
    try await file.sync()
    giveBuffer()
    let disk = store.disk
    let temporary = temporary
    return try await store.publish(header) { path in
      try await disk.rename(temporary, to: path)
    }
  }

  /// Writes the whole aligned units that are in the buffer; what is left moves to its beginning.
  private func writeOut() async throws {
    let whole = end / DiskBuffer.alignment * DiskBuffer.alignment
    guard let buffer, whole > 0 else { return }
    let file = try await takeFile()
    try await file.write(buffer, 0..<whole, at: headerBytes + written)
    written += whole
    let left = UnsafeRawBufferPointer(rebasing: buffer.bytes[whole..<end])
    buffer.bytes.copyMemory(from: left)
    end -= whole
    if end == 0 { giveBuffer() }
  }

  /// Bytes of the memory that this put takes.
  private var bufferSize: Int {
    isSmall ? ChunkFileHeader.fileBytes(for: chunk) : FileChunkPut.bufferBytes
  }

  /// The memory to gather in; a small chunk's payload begins after its header.
  private func takeBuffer() async throws -> DiskBuffer {
    if let buffer { return buffer }
    let taken = try await store.staging.take(bufferSize)
    guard !isOver else {
      store.staging.give(taken, bufferSize)
      throw FileChunkPut.over
    }
    buffer = taken
    end = isSmall ? headerBytes : 0
    return taken
  }

  /// Gives the memory back.
  private func giveBuffer() {
    guard let buffer else { return }
    self.buffer = nil
    store.staging.give(buffer, bufferSize)
  }

  /// The file of a large chunk, with room for all of it.
  private func takeFile() async throws(StoreError) -> any DiskFile {
    if let file { return file }
    mayHaveFile = true
    let made = try await store.disk.create(
      temporary, reserving: ChunkFileHeader.fileBytes(for: chunk), direct: true)
    file = made
    return made
  }

  private func checkOpen() throws(StoreError) {
    if isOver { throw FileChunkPut.over }
  }

  private static let over = StoreError(.internal, "the put is over already")
}
