/// Checks strings that come from outside: UTF-8 as Unicode defines it (no overlong forms, no
/// surrogates, nothing above U+10FFFF).
enum UTF8Check {
  private static let highBits: UInt64 = 0x8080_8080_8080_8080

  /// Checks `count` bytes; eight at a time while they are ASCII.
  @inline(__always)
  static func isValid(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    var index = 0
    while index + 8 <= count {
      let word = UnsafeRawPointer(bytes + index).loadUnaligned(as: UInt64.self)
      guard word & highBits == 0 else { break }
      index += 8
    }
    while index < count, bytes[index] < 0x80 { index += 1 }
    return index == count || isRestValid(bytes, index, count)
  }

  /// Checks the bytes from the first one that isn't plain ASCII.
  @inline(never)
  private static func isRestValid(
    _ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int
  ) -> Bool {
    var index = start
    while index < count {
      let byte = bytes[index]
      if byte < 0x80 {
        index += 1
        continue
      }
      guard let (length, range) = sequence(byte), index + length <= count,
        range.contains(bytes[index + 1])
      else { return false }
      for offset in 2..<max(length, 2) where bytes[index + offset] & 0xc0 != 0x80 {
        return false
      }
      index += length
    }
    return true
  }

  /// A sequence's length in bytes and the range of its second byte, by its first; nil when no
  /// sequence begins so.
  private static func sequence(_ lead: UInt8) -> (Int, ClosedRange<UInt8>)? {
    switch lead {
    case 0xc2...0xdf: (2, 0x80...0xbf)
    case 0xe0: (3, 0xa0...0xbf)
    case 0xed: (3, 0x80...0x9f)
    case 0xe1...0xef: (3, 0x80...0xbf)
    case 0xf0: (4, 0x90...0xbf)
    case 0xf1...0xf3: (4, 0x80...0xbf)
    case 0xf4: (4, 0x80...0x8f)
    default: nil
    }
  }
}
