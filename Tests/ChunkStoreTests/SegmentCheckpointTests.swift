import Checksum
import NIOCore
import Testing

@testable import ChunkStore

@Suite("A segment's checkpoint")
struct SegmentCheckpointTests {
  private static let footer = SegmentCheckpoint.Footer(
    number: 3, disk: 4, offset: 8_192, entryCount: 5, killCount: 6, entriesChecksum: 7,
    killsChecksum: 8, writtenBytes: 900, durableBatch: 10)

  /// The footer's bytes, changed.
  private static func decoded(_ change: (inout [UInt8]) -> Void) -> SegmentCheckpoint.Footer? {
    var text = ByteBuffer()
    footer.encode(to: &text)
    var bytes = Array(text.readableBytesView)
    change(&bytes)
    return SegmentCheckpoint.Footer(
      decoding: ByteBuffer(bytes: bytes), fileBytes: footer.fileBytes)
  }

  @Test("a footer outlives a bit that flips anywhere in it, and no two in the same place")
  func flips() {
    for place in 0..<SegmentCheckpoint.Footer.bytes {
      #expect(Self.decoded { $0[place] ^= 4 } == Self.footer, "at \(place)")
    }
    for place in 0..<68 {
      let both = Self.decoded { bytes in
        bytes[place] ^= 4
        bytes[place + 2_048] ^= 4
      }
      #expect(both == nil, "at \(place)")
    }
    #expect(Self.decoded { $0.removeLast(2_100) } == Self.footer)
    #expect(Self.decoded { $0.removeLast(4_090) } == nil)
    #expect(Self.decoded { $0.removeAll() } == nil)
  }

  @Test("a footer of version 2 is read: it vouches for every record")
  func version2() {
    var expected = Self.footer
    expected.durableBatch = .max
    let found = Self.decoded { bytes in
      bytes[8] = 2
      bytes.removeSubrange(56...)
      let checksum = CRC32C.checksum(of: ByteBuffer(bytes: bytes))
      withUnsafeBytes(of: checksum.littleEndian) { bytes += $0 }
      bytes += [UInt8](repeating: 0, count: 4_036)
    }
    #expect(found == expected)
  }
}
