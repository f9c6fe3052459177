import CISAL
package import NIOCore

/// A running CRC-32C (Castagnoli), computed by ISA-L with the processor's own instructions.
///
/// ISA-L's `crc32_iscsi` neither inverts its start value nor its result; the standard checksum does
/// both, and so does this type: `CRC32C` of the ASCII text `123456789` is `0xE3069283`.
package struct CRC32C: Sendable, Hashable {
  /// The register, not inverted at the end.
  private var register: UInt32

  /// The checksum of no bytes yet.
  package init() {
    register = ~0
  }

  /// Goes on where a checksum with this value stopped.
  package init(resuming value: UInt32) {
    register = ~value
  }

  /// The checksum of all bytes so far; 0 for none.
  package var value: UInt32 {
    ~register
  }

  /// Takes in the next bytes.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = UnsafeRawBufferPointer(rebasing: rest.prefix(CRC32C.maxBytesACall))
      rest = rest.dropFirst(CRC32C.maxBytesACall)
      // ISA-L only reads what it is given; its signature merely lacks the `const`.
      let start = UnsafeMutablePointer(
        mutating: part.baseAddress?.assumingMemoryBound(to: UInt8.self))
      register = crc32_iscsi(start, Int32(part.count), register)
    }
  }

  /// Takes in the buffer's readable bytes.
  package mutating func update(_ buffer: ByteBuffer) {
    buffer.withUnsafeReadableBytes { update($0) }
  }

  /// Takes in the next bytes.
  package mutating func update(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { update($0) }
  }

  /// The checksum of these bytes.
  package static func checksum(of bytes: UnsafeRawBufferPointer) -> UInt32 {
    var crc = CRC32C()
    crc.update(bytes)
    return crc.value
  }

  /// The checksum of the buffer's readable bytes.
  package static func checksum(of buffer: ByteBuffer) -> UInt32 {
    buffer.withUnsafeReadableBytes { checksum(of: $0) }
  }

  /// The checksum of these bytes.
  package static func checksum(of bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { checksum(of: $0) }
  }

  /// Bytes handed to ISA-L at a time: its length is a C `int`.
  private static let maxBytesACall = 1 << 30
}
