/// Whether a frame that was begun goes on.
///
/// How long a frame takes is up to the line: a large one on a slow line takes minutes. A peer that sends
/// next to nothing of it keeps memory for nothing.
struct FrameWatch: Sendable {
  /// Since when the frame has made no progress; nil: none is begun.
  private(set) var since: Instant?
  /// Which one it is: how many were whole before it.
  private var frame: UInt64 = 0
  /// Bytes of it that came since then.
  private var bytes = 0
  /// Since when nothing is read; nil: it is.
  private var restsSince: Instant?

  /// So many bytes are progress.
  static let stepBytes = 64 << 10
  /// How long the frame may take for its rest or for that.
  static let timeout: Duration = .seconds(30)

  /// When it is to be looked at; nil: no frame is begun, or the clock rests.
  var due: Instant? { restsSince == nil ? since?.advanced(by: Self.timeout) : nil }

  /// A read of `count` bytes came in and left a frame that isn't whole, the one after `whole` others; nil: none.
  mutating func received(_ count: Int, behind whole: UInt64?, now: Instant) {
    guard let whole else {
      since = nil
      return
    }
    bytes += count
    guard since == nil || frame != whole || bytes >= Self.stepBytes else { return }
    since = now
    frame = whole
    bytes = 0
    if restsSince != nil { restsSince = now }
  }

  /// Nothing is read for now, at this side's wish.
  mutating func rest(now: Instant) {
    if restsSince == nil { restsSince = now }
  }

  /// It is read again.
  mutating func goOn(now: Instant) {
    guard let began = restsSince else { return }
    restsSince = nil
    since = since?.advanced(by: began.duration(to: now))
  }

  /// Whether the frame has made no progress for too long.
  func isLate(now: Instant) -> Bool { due.map { $0 <= now } ?? false }
}
