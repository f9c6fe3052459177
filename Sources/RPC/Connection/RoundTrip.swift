/// How long a peer takes to answer, measured by a ping now and then while much comes in.
struct RoundTrip: Sendable, Hashable {
  /// The shortest time that an answer took: what the line takes, without what waited on the way.
  private(set) var least: Duration?
  private var sent: Instant?
  private var isAnswered = true

  /// The least time between two pings.
  static let interval: Duration = .seconds(10)
  /// Marks the pings that measure.
  private static let mark: UInt64 = 1 << 63

  /// What a ping is to say that is to be sent now; nil: none is.
  mutating func ping(now: Instant, interval: Duration) -> UInt64? {
    if let sent, sent.duration(to: now) < max(interval, Self.interval) { return nil }
    sent = now
    isAnswered = false
    return now.nanoseconds | Self.mark
  }

  /// A ping was answered, perhaps one that measures.
  mutating func answered(_ value: UInt64, now: Instant) {
    guard !isAnswered, let sent, value == sent.nanoseconds | Self.mark else { return }
    isAnswered = true
    let sample = sent.duration(to: now)
    least = least.map { min($0, sample) } ?? sample
  }
}

extension ConnectionMachine {
  /// What a connection holds at most, beside what its settings tell the peer.
  struct Limits: Sendable, Hashable {
    /// The most that messages which aren't whole may cost together.
    var maxUnfinished: UInt64 = 256 << 20
    /// The largest window of a call.
    var maxCallWindow: UInt64 = 32 << 20
    /// The largest window of the connection: the budget of all its calls' windows.
    var maxConnectionWindow: UInt64 = 128 << 20

    /// The defaults.
    init() {}

    /// What `configuration` says.
    init(_ configuration: ConnectionConfiguration) {
      maxUnfinished = UInt64(max(configuration.maxUnfinishedBytes, 0))
      maxCallWindow = UInt64(max(configuration.maxCallWindowBytes, 0))
      maxConnectionWindow = UInt64(max(configuration.maxConnectionWindowBytes, 0))
    }
  }

  /// What a ping is to say that is to be sent now, to measure the line; nil: none is. To be asked when
  /// windows are granted.
  mutating func takePing(now: Instant) -> UInt64? {
    guard let remote else { return nil }
    let least = Duration.milliseconds(Int64(clamping: remote.minPingIntervalMilliseconds))
    return roundTrip.ping(now: now, interval: least)
  }
}
