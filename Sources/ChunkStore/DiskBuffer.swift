/// Memory to write from, aligned as direct disk writes need it.
///
/// Its owner alone may touch it, and not while a write from it is under way: that is why it may be
/// handed from thread to thread unchecked.
package final class DiskBuffer: @unchecked Sendable {
  /// What addresses, offsets and lengths of direct writes are multiples of, in bytes.
  package static let alignment = 4_096

  /// The memory; as many bytes as were asked for, rounded up to the alignment.
  package let bytes: UnsafeMutableRawBufferPointer

  /// Makes a buffer with undefined contents of at least so many bytes.
  package init(capacity: Int) {
    bytes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: DiskBuffer.roundUp(max(capacity, 1)), alignment: DiskBuffer.alignment)
  }

  /// Makes a buffer that begins with these bytes.
  package convenience init(copying source: [UInt8]) {
    self.init(capacity: source.count)
    bytes.copyBytes(from: source)
  }

  deinit {
    bytes.deallocate()
  }

  /// The next multiple of the alignment.
  package static func roundUp(_ bytes: Int) -> Int {
    (bytes + alignment - 1) / alignment * alignment
  }

  /// Sets a part of it to zero.
  package func zero(_ range: Range<Int>) {
    UnsafeMutableRawBufferPointer(rebasing: bytes[range]).initializeMemory(
      as: UInt8.self, repeating: 0)
  }
}
