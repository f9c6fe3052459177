import Checksum
import NIOCore
import Testing

@Suite("Checksums")
struct ChecksumTests {
  /// CRC-32C bit by bit, as its definition reads.
  static func reference(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var register: UInt32 = ~0
    for byte in bytes {
      register ^= UInt32(byte)
      for _ in 0..<8 {
        register = register & 1 == 1 ? (register >> 1) ^ 0x82F6_3B78 : register >> 1
      }
    }
    return ~register
  }

  @Test(
    "the published vectors come out",
    arguments: [
      (Array("123456789".utf8), 0xE306_9283),
      ([], 0),
      ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
      ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
      (Array(0..<32), 0x46DD_794E),
      (Array((0..<32).reversed()), 0x113F_DB5C),
    ] as [([UInt8], UInt32)])
  func vectors(bytes: [UInt8], expected: UInt32) {
    #expect(CRC32C.checksum(of: bytes) == expected)
    #expect(CRC32C.checksum(of: ByteBuffer(bytes: bytes)) == expected)
    #expect(ChecksumTests.reference(bytes) == expected)
  }

  @Test("every length and split agrees with the bitwise reference")
  func splits() {
    let bytes = pattern(300, seed: 1)
    for length in 0...bytes.count {
      #expect(
        CRC32C.checksum(of: Array(bytes[..<length])) == Self.reference(bytes[..<length]))
    }
    let whole = Self.reference(bytes)
    for split in 0...bytes.count {
      var crc = CRC32C()
      crc.update(Array(bytes[..<split]))
      var resumed = CRC32C(resuming: crc.value)
      resumed.update(Array(bytes[split...]))
      #expect(resumed.value == whole)
    }
  }

  @Test("checksums of two parts combine to that of both, at every split")
  func combining() {
    let bytes = pattern(1_000, seed: 2)
    let whole = CRC32C.checksum(of: bytes)
    for split in 0...bytes.count {
      let first = CRC32C.checksum(of: Array(bytes[..<split]))
      let second = CRC32C.checksum(of: Array(bytes[split...]))
      let length = UInt64(bytes.count - split)
      #expect(CRC32C.combine(first, second, secondLength: length) == whole)
    }
  }

  @Test("combining over lengths beyond 32 bits equals combining in two steps")
  func combiningFar() {
    let first: UInt32 = 0x1234_5678
    for length in [1 << 31, 1 << 32, 3 << 40, 1 << 62] as [UInt64] {
      let once = CRC32C.combine(first, 0, secondLength: length)
      let half = CRC32C.combine(first, 0, secondLength: length / 2)
      #expect(CRC32C.combine(half, 0, secondLength: length - length / 2) == once)
    }
  }

  @Test("block checksums are the same for pieces of any size, copied or not")
  func blocks() {
    let bytes = pattern(3 * BlockChecksums.blockBytes + 1_234, seed: 3)
    let expected = stride(from: 0, to: bytes.count, by: BlockChecksums.blockBytes).map {
      CRC32C.checksum(of: Array(bytes[$0..<min($0 + BlockChecksums.blockBytes, bytes.count)]))
    }
    for piece in [1_000, 4_096, 65_535, 65_536, 65_537, bytes.count] {
      var plain = BlockChecksums()
      var copying = BlockChecksums(expectedBytes: bytes.count)
      var copy: [UInt8] = []
      for start in stride(from: 0, to: bytes.count, by: piece) {
        let part = Array(bytes[start..<min(start + piece, bytes.count)])
        plain.update(ByteBuffer(bytes: part))
        var target = [UInt8](repeating: 0, count: part.count)
        target.withUnsafeMutableBytes { target in
          part.withUnsafeBytes { copying.update($0, copyingTo: target) }
        }
        copy += target
      }
      #expect(plain.blocks == expected)
      #expect(copying.blocks == expected)
      #expect(copy == bytes)
      #expect(plain.whole == CRC32C.checksum(of: bytes))
    }
  }

  @Test(
    "the whole's checksum follows from the blocks' for every number of bytes near a block's end")
  func wholeFromBlocks() {
    for length in [0, 1, 65_535, 65_536, 65_537, 131_072] {
      let bytes = pattern(length, seed: 4)
      var checksums = BlockChecksums()
      checksums.update(ByteBuffer(bytes: bytes))
      #expect(checksums.whole == CRC32C.checksum(of: bytes))
      #expect(checksums.blocks.count == BlockChecksums.blockCount(bytes: length))
    }
  }
}

/// Bytes that depend on the seed and repeat nowhere near a block's size.
func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  var bytes = [UInt8](repeating: 0, count: (count + 7) / 8 * 8)
  bytes.withUnsafeMutableBytes { bytes in
    for place in stride(from: 0, to: bytes.count, by: 8) {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      bytes.storeBytes(of: state, toByteOffset: place, as: UInt64.self)
    }
  }
  return Array(bytes[..<count])
}
