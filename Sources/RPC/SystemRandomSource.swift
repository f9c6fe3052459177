/// The machine's randomness: the one place that asks for it.
public struct SystemRandomSource: RandomSource {
  /// The machine's randomness.
  public init() {}

  /// 64 random bits.
  public func next() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }
}
