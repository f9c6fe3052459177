import RPC

/// How a transfer looks on one line of a terminal: bar, bytes, rate and time left.
struct ProgressMeter: Sendable {
  /// A transfer shorter than this shows nothing.
  static let quietNanoseconds: UInt64 = 500_000_000
  /// The line is drawn again after this at the earliest.
  static let redrawNanoseconds: UInt64 = 100_000_000
  private static let barCells = 24

  private let label: String
  private let began: Instant
  private var drawn: Instant?
  private var lastDone: UInt64 = 0
  private var lastChange: Instant
  /// Bytes a second, smoothed; nil until two reports came.
  private(set) var rate: Double?

  /// A transfer that begins at `now`; `label` is shown before the bar.
  init(label: String, now: Instant) {
    self.label = label
    began = now
    lastChange = now
  }

  /// So many bytes are done: returns the line to draw; nil when it is too early for one.
  mutating func report(done: UInt64, total: UInt64?, now: Instant) -> String? {
    learnRate(done: done, now: now)
    guard now.nanoseconds - began.nanoseconds >= Self.quietNanoseconds else { return nil }
    if let drawn, now.nanoseconds - drawn.nanoseconds < Self.redrawNanoseconds { return nil }
    drawn = now
    return line(done: done, total: total)
  }

  /// Whether a line stands on the terminal that must be wiped.
  var hasDrawn: Bool { drawn != nil }

  private mutating func learnRate(done: UInt64, now: Instant) {
    let seconds = Double(now.nanoseconds - lastChange.nanoseconds) / 1e9
    guard done > lastDone, seconds > 0.05 else { return }
    let present = Double(done - lastDone) / seconds
    rate = rate.map { $0 * 0.7 + present * 0.3 } ?? present
    lastDone = done
    lastChange = now
  }

  private func line(done: UInt64, total: UInt64?) -> String {
    let speed = rate.map { "  \(Quantity.bytes(UInt64($0)))/s" } ?? ""
    guard let total, total > 0 else { return "\(label)  \(Quantity.bytes(done))\(speed)" }
    let share = min(1, Double(done) / Double(total))
    let full = Int(share * Double(Self.barCells))
    let bar =
      String(repeating: "█", count: full) + String(repeating: "░", count: Self.barCells - full)
    var left = ""
    if let rate, rate > 0, done < total {
      left = "  \(Quantity.duration(seconds: UInt64(Double(total - done) / rate))) left"
    }
    return
      "\(label)  \(bar) \(Int(share * 100))%  \(Quantity.bytes(done)) of \(Quantity.bytes(total))"
      + speed + left
  }
}

/// Amounts for people.
enum Quantity {
  /// Such as `1.5 MiB`; exact below 1 KiB.
  static func bytes(_ count: UInt64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    guard count >= 1_024 else { return "\(count) B" }
    var value = Double(count) / 1_024
    var unit = 0
    while value >= 1_023.95, unit < units.count - 1 {
      value /= 1_024
      unit += 1
    }
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }

  /// Such as `1 h 5 min`, `5 min 20 s` or `7 s`.
  static func duration(seconds: UInt64) -> String {
    if seconds >= 3_600 { return "\(seconds / 3_600) h \(seconds % 3_600 / 60) min" }
    return seconds >= 60 ? "\(seconds / 60) min \(seconds % 60) s" : "\(seconds) s"
  }

  /// A moment in UTC as RFC 3339 with milliseconds, such as `2026-01-31T09:30:00.000Z`.
  static func moment(microsecondsSince1970: Int64) -> String {
    let milliseconds = microsecondsSince1970.floorDivided(by: 1_000)
    let days = milliseconds.floorDivided(by: 86_400_000)
    let rest = Int(milliseconds - days * 86_400_000)
    let (year, month, day) = civil(daysSince1970: days)
    let time = [rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60]
    let clock = time.map { padded($0, 2) }.joined(separator: ":")
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(clock)"
      + ".\(padded(rest % 1_000, 3))Z"
  }

  /// The Gregorian calendar's date, counted in years that begin in March so that leap days come last.
  private static func civil(daysSince1970 days: Int64) -> (Int, Int, Int) {
    let shifted = days + 719_468
    let era = shifted.floorDivided(by: 146_097)
    let dayOfEra = Int(shifted - era * 146_097)
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + Int(era) * 400 + (month <= 2 ? 1 : 0)
    return (year, month, day)
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}

extension Int64 {
  fileprivate func floorDivided(by divisor: Int64) -> Int64 {
    let quotient = self / divisor
    return self % divisor < 0 ? quotient - 1 : quotient
  }
}
