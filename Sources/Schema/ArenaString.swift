internal import CProtobufC

/// How a string lies in an arena: its length, its UTF-8, a NUL. The C struct points to the UTF-8, so
/// that C sees a string as it knows them, while ours may hold a NUL and need not be measured.
@usableFromInline
enum ArenaString {
  /// Bytes beside the UTF-8.
  @usableFromInline static let overhead = MemoryLayout<Int>.size + 1

  /// Copies UTF-8 to memory of `overhead` more bytes; gives what the C struct points to.
  @inline(__always)
  static func write(
    _ utf8: UnsafePointer<UInt8>, _ count: Int, to memory: UnsafeMutableRawPointer
  ) -> UnsafeMutablePointer<CChar> {
    (memory + MemoryLayout<Int>.size).copyMemory(from: utf8, byteCount: count)
    return finish(memory, count)
  }

  /// Completes memory whose UTF-8 is there.
  @usableFromInline
  @inline(__always)
  static func finish(
    _ memory: UnsafeMutableRawPointer, _ count: Int
  ) -> UnsafeMutablePointer<CChar> {
    memory.storeBytes(of: count, as: Int.self)
    let start = memory + MemoryLayout<Int>.size
    start.storeBytes(of: 0, toByteOffset: count, as: UInt8.self)
    return start.assumingMemoryBound(to: CChar.self)
  }

  /// The UTF-8 of a string in an arena; nothing for NULL and for C's own empty string, which every
  /// field has until it is set.
  @usableFromInline
  @inline(__always)
  static func utf8(_ string: UnsafePointer<CChar>?) -> UnsafeBufferPointer<UInt8> {
    guard let string, string != protobuf_c_empty() else {
      return UnsafeBufferPointer(start: nil, count: 0)
    }
    let start = UnsafeRawPointer(string)
    return UnsafeBufferPointer(
      start: start.assumingMemoryBound(to: UInt8.self),
      count: start.load(fromByteOffset: -MemoryLayout<Int>.size, as: Int.self))
  }
}
