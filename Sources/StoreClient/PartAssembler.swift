import Checksum
import NIOCore
import Schema
import StoreModel

/// Puts the bytes of one part of a chunk together as they come from a node, and checks every block
/// before any of it is handed on.
///
/// A whole chunk must also match the checksum in its manifest; a part of one is compared to the node's
/// own checksums of its blocks alone, which find damage but no lie. What comes may begin and end a block
/// early or late, as nodes send whole blocks; the buffers that come out hold the wanted bytes alone.
struct PartAssembler {
  /// What is wrong with what came.
  struct Damage: Error, Equatable {
    var message: String
  }

  private let part: ReadPlan.Part
  /// Where in the chunk the next message must begin; nil before the first.
  private var position: UInt32?
  private var buffers: [ByteBuffer] = []
  private var bytesWanted: UInt32 = 0
  private var checksum: UInt32 = 0

  /// Expects the bytes of `part`.
  init(_ part: ReadPlan.Part) {
    self.part = part
  }

  /// A message came: `data` stands at `offset` in the chunk, with the checksum of each of its blocks.
  mutating func received(offset: UInt32, checksums: [UInt32], data: Body) throws(Damage) {
    let blockBytes = UInt32(BlockChecksums.blockBytes)
    guard offset % blockBytes == 0 else {
      throw Damage(message: "the data begins inside a block, at \(offset)")
    }
    if let position {
      guard offset == position else {
        throw Damage(message: "the data at \(position) is missing; \(offset) came")
      }
    } else {
      guard offset <= part.offset, part.offset - offset < blockBytes else {
        throw Damage(message: "the data begins at \(offset); \(part.offset) was asked for")
      }
    }
    guard data.count <= Int(part.chunk.length - min(offset, part.chunk.length)) else {
      throw Damage(message: "more came than the chunk's \(part.chunk.length) bytes")
    }
    try verify(offset: offset, checksums: checksums, data: data)
    keepWanted(of: data, from: offset)
    position = offset + UInt32(data.count)
  }

  /// The node has sent all: the part's bytes, verified.
  func finish() throws(Damage) -> [ByteBuffer] {
    guard bytesWanted == part.length else {
      throw Damage(message: "\(bytesWanted) bytes came; \(part.length) were asked for")
    }
    if part.isWhole, checksum != part.chunk.checksum {
      throw Damage(
        message:
          "the checksum is \(hexadecimal(checksum)), the manifest's \(hexadecimal(part.chunk.checksum))"
      )
    }
    return buffers
  }

  private mutating func verify(
    offset: UInt32, checksums: [UInt32], data: Body
  ) throws(Damage) {
    var blocks = BlockChecksums(expectedBytes: data.count)
    for piece in data.pieces { blocks.update(piece) }
    let computed = blocks.blocks
    guard computed.count == checksums.count else {
      throw Damage(message: "\(checksums.count) checksums came for \(computed.count) blocks")
    }
    for (index, pair) in zip(computed, checksums).enumerated() where pair.0 != pair.1 {
      throw Damage(
        message:
          "block \(Int(offset) / BlockChecksums.blockBytes + index) doesn't match its checksum")
    }
    checksum = CRC32C.combine(checksum, blocks.whole, secondLength: UInt64(data.count))
  }

  private mutating func keepWanted(of data: Body, from offset: UInt32) {
    let wanted = part.offset..<(part.offset + part.length)
    var start = offset
    for piece in data.pieces {
      let end = start + UInt32(piece.readableBytes)
      let overlap = (start..<end).clamped(to: wanted)
      if !overlap.isEmpty {
        let slice = piece.getSlice(
          at: piece.readerIndex + Int(overlap.lowerBound - start), length: overlap.count)
        if let slice { buffers.append(slice) }
        bytesWanted += UInt32(overlap.count)
      }
      start = end
    }
  }
}

/// A checksum as eight hexadecimal digits.
func hexadecimal(_ checksum: UInt32) -> String {
  let digits = String(checksum, radix: 16)
  return String(repeating: "0", count: 8 - digits.count) + digits
}
