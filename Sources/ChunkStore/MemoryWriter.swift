/// Writes numbers, little-endian, and text one after the other into memory that somebody else owns.
struct MemoryWriter {
  private let target: UnsafeMutableRawBufferPointer
  /// Where the next byte goes.
  private(set) var count = 0

  /// Begins at the memory's beginning.
  init(_ target: UnsafeMutableRawBufferPointer) {
    self.target = target
  }

  /// Writes a number.
  mutating func write<Number: FixedWidthInteger>(_ number: Number) {
    target.storeBytes(of: number.littleEndian, toByteOffset: count, as: Number.self)
    count += MemoryLayout<Number>.size
  }

  /// Writes a text's bytes.
  mutating func write(utf8 text: String) {
    let rest = UnsafeMutableRawBufferPointer(rebasing: target[count...])
    precondition(rest.count >= text.utf8.count, "no room for the text")
    rest.copyBytes(from: text.utf8)
    count += text.utf8.count
  }

  /// Writes zeros up to this many bytes in all.
  mutating func fill(upTo end: Int) {
    UnsafeMutableRawBufferPointer(rebasing: target[count..<end]).initializeMemory(
      as: UInt8.self, repeating: 0)
    count = end
  }
}
