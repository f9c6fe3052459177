/// A running fingerprint (FNV-1a, by words) of what happened: equal for equal histories.
package struct Digest: Sendable, Hashable {
  /// The fingerprint of everything added so far.
  package private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  /// The fingerprint of nothing.
  package init() {}

  /// Adds one word.
  package mutating func add(_ word: UInt64) {
    value = (value ^ word) &* 0x0000_0100_0000_01B3
    value ^= value >> 32
  }
}
