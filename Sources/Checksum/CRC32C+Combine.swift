extension CRC32C {
  /// The checksum of two strings of bytes one after the other, from the checksums of each, so that a
  /// file's checksum follows from its chunks' in any order of arrival.
  ///
  /// - Parameters:
  ///   - first: the checksum of the first bytes.
  ///   - second: the checksum of the bytes after them.
  ///   - secondLength: how many bytes `second` covers.
  /// - Returns: the checksum of all of them.
  package static func combine(_ first: UInt32, _ second: UInt32, secondLength: UInt64) -> UInt32 {
    multiply(shift(byBytes: secondLength), first) ^ second
  }

  /// x to the power of 8 `bytes`, modulo the polynomial: what appending that many bytes multiplies a
  /// checksum with.
  static func shift(byBytes bytes: UInt64) -> UInt32 {
    var result = one
    var rest = bytes
    var power = 3  // x^8 is powers[3]
    while rest != 0 {
      if rest & 1 == 1 { result = multiply(powers[power % powers.count], result) }
      rest >>= 1
      power += 1
    }
    return result
  }

  /// The product of two polynomials modulo Castagnoli's, with bits in the checksum's (reflected) order.
  static func multiply(_ a: UInt32, _ b: UInt32) -> UInt32 {
    var product: UInt32 = 0
    var shifted = b
    var mask: UInt32 = one
    while mask != 0 {
      if a & mask != 0 { product ^= shifted }
      shifted = shifted & 1 == 1 ? (shifted >> 1) ^ polynomial : shifted >> 1
      mask >>= 1
    }
    return product
  }

  /// Castagnoli's polynomial, reflected.
  private static let polynomial: UInt32 = 0x82F6_3B78
  /// The polynomial 1, reflected.
  private static let one: UInt32 = 1 << 31
  /// x to the power of 2^n, for n from 0 to 30. The order of x divides 2^31 - 1, so that x to the power
  /// of 2^31 is x again and the table repeats.
  private static let powers: [UInt32] = {
    var table = [one >> 1]
    while table.count < 31 {
      let last = table[table.count - 1]
      table.append(multiply(last, last))
    }
    return table
  }()
}
