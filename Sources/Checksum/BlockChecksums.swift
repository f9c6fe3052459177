package import NIOCore

/// The checksums of a chunk's 64 KiB blocks, and of the whole, in one pass over pieces of any size.
package struct BlockChecksums: Sendable, Hashable {
  /// Bytes of a block: the least that can be read and verified by itself.
  package static let blockBytes = 65_536

  /// Bytes so far.
  package private(set) var byteCount = 0
  /// Checksums of the blocks that are full.
  private var full: [UInt32] = []
  /// The checksum of the bytes after the last full block.
  private var partial = CRC32C()

  /// No bytes yet. `expectedBytes`: how many will come, where that is known.
  package init(expectedBytes: Int = 0) {
    full.reserveCapacity(BlockChecksums.blockCount(bytes: expectedBytes))
  }

  /// Takes in the next bytes.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let room = BlockChecksums.blockBytes - byteCount % BlockChecksums.blockBytes
      takeWithinBlock(UnsafeRawBufferPointer(rebasing: rest.prefix(room)))
      rest = rest.dropFirst(room)
    }
  }

  /// Takes in the buffer's readable bytes.
  package mutating func update(_ buffer: ByteBuffer) {
    buffer.withUnsafeReadableBytes { update($0) }
  }

  /// Takes in the next bytes and copies them, so that memory is read once.
  ///
  /// - Parameters:
  ///   - bytes: the next bytes.
  ///   - target: where they go; at least as long as `bytes`, and apart from it.
  package mutating func update(
    _ bytes: UnsafeRawBufferPointer, copyingTo target: UnsafeMutableRawBufferPointer
  ) {
    precondition(target.count >= bytes.count, "the target is too small for a copy")
    var start = 0
    while start < bytes.count {
      let room = BlockChecksums.blockBytes - byteCount % BlockChecksums.blockBytes
      let length = min(room, bytes.count - start, BlockChecksums.copyBytes)
      let part = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
      UnsafeMutableRawBufferPointer(rebasing: target[start..<start + length]).copyMemory(from: part)
      takeWithinBlock(part)
      start += length
    }
  }

  /// The checksum of each block so far; the last one may be shorter than the others.
  package var blocks: [UInt32] {
    byteCount % BlockChecksums.blockBytes == 0 ? full : full + [partial.value]
  }

  /// The checksum of all bytes so far.
  package var whole: UInt32 {
    BlockChecksums.whole(blocks: blocks, bytes: byteCount)
  }

  /// The checksum of the whole from those of its blocks.
  ///
  /// - Parameters:
  ///   - blocks: one checksum a block, as many as `bytes` need.
  ///   - bytes: how many bytes the blocks have together.
  /// - Returns: the checksum of all bytes; 0 for none.
  package static func whole(blocks: [UInt32], bytes: Int) -> UInt32 {
    precondition(blocks.count == blockCount(bytes: bytes), "one checksum a block")
    guard let last = blocks.last else { return 0 }
    let whole = blocks.dropLast().reduce(0) { CRC32C.multiply(blockShift, $0) ^ $1 }
    let lastBytes = bytes - (blocks.count - 1) * blockBytes
    return CRC32C.combine(whole, last, secondLength: UInt64(lastBytes))
  }

  /// How many blocks so many bytes have.
  package static func blockCount(bytes: Int) -> Int {
    (bytes + blockBytes - 1) / blockBytes
  }

  /// Bytes copied before they are summed: they are still in the first-level cache then.
  private static let copyBytes = 16_384
  /// What appending a full block multiplies a checksum with.
  private static let blockShift = CRC32C.shift(byBytes: UInt64(blockBytes))

  /// Takes in bytes that do not reach beyond the present block.
  private mutating func takeWithinBlock(_ bytes: UnsafeRawBufferPointer) {
    partial.update(bytes)
    byteCount += bytes.count
    guard byteCount % BlockChecksums.blockBytes == 0, !bytes.isEmpty else { return }
    full.append(partial.value)
    partial = CRC32C()
  }
}
