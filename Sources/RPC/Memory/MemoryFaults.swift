/// What the connections of a memory network suffer: nothing at first.
public struct MemoryFaults: Sendable, Hashable {
  /// How long bytes are under way at least, each way. They come in order whatever they take.
  public var delay: Duration = .zero
  /// How much longer they may take; how much is random.
  public var jitter: Duration = .zero
  /// One write in so many, at random, cuts its connection: both sides hear of it, and what is under way
  /// is lost. 0: none.
  public var cutsOneIn: UInt64 = 0
  /// One write in so many, at random, is lost, and with it all that follows on its connection, either
  /// way: a black hole. Nobody hears of it. 0: none.
  public var losesOneIn: UInt64 = 0
  /// Everything written is lost, as above, and nobody answers those who connect. A connection on which
  /// nothing was written meanwhile survives it.
  public var isSilent = false

  /// No faults.
  public init() {}

  /// What becomes of a write.
  enum Fate: Sendable, Hashable {
    case arrives(after: Duration)
    case isLost
    case cuts
  }

  /// What becomes of the next write.
  func fate(_ random: any RandomSource) -> Fate {
    if isSilent || losesOneIn > 0 && random.next() % losesOneIn == 0 { return .isLost }
    if cutsOneIn > 0 && random.next() % cutsOneIn == 0 { return .cuts }
    return .arrives(after: way(random))
  }

  /// How long something is under way.
  func way(_ random: any RandomSource) -> Duration {
    guard jitter > .zero else { return delay }
    return delay + jitter * (Double(random.next() >> 11) / Double(1 << 53))
  }
}
