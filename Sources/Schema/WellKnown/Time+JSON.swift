// Moments as RFC 3339 has them, and spans of time as seconds with an `s`: each with 0, 3, 6 or 9 digits
// of a fraction.

extension Google_Protobuf_Timestamp {
  /// 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, in seconds since 1970.
  private static let range: ClosedRange<Int64> = -62_135_596_800...253_402_300_799

  /// `2026-11-25T07:30:00.5Z`, or with an offset such as `+01:00` for the `Z`.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    var scanner = TimeScanner(try json.text())
    guard let year = scanner.digits(4), scanner.take("-"), let month = scanner.digits(2),
      scanner.take("-"), let day = scanner.digits(2), scanner.take("T"),
      let hour = scanner.digits(2), scanner.take(":"), let minute = scanner.digits(2),
      scanner.take(":"), let second = scanner.digits(2), let nanos = scanner.fraction(),
      let offset = scanner.offset(), scanner.isAtEnd, (1...12).contains(month),
      (1...Self.days(in: month, of: year)).contains(day), hour < 24, minute < 60, second < 60
    else { throw JSONValue.failure("'\(try json.text())' is no time such as 2026-11-25T07:30:00Z") }
    let days = Self.days(year: year, month: month, day: day)
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset
    guard Self.range.contains(seconds) else {
      throw JSONValue.failure("the time is not within the years 1 to 9999")
    }
    self.init(seconds: seconds, nanos: nanos)
  }

  /// In UTC.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    guard Self.range.contains(seconds), (0..<1_000_000_000).contains(nanos) else {
      throw JSONValue.failure("the time is not within the years 1 to 9999")
    }
    let day = Int64((Double(seconds) / 86_400).rounded(.down))
    let rest = seconds - day * 86_400
    let (year, month, dayOfMonth) = Self.date(day)
    let date =
      "\(TimeScanner.padded(year, 4))-\(TimeScanner.padded(month, 2))-"
      + TimeScanner.padded(dayOfMonth, 2)
    let time = [rest / 3_600, rest / 60 % 60, rest % 60].map { TimeScanner.padded($0, 2) }
    out.string("\(date)T\(time.joined(separator: ":"))\(TimeScanner.fraction(nanos))Z")
  }

  private static func isLeap(_ year: Int64) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  }

  private static func days(in month: Int64, of year: Int64) -> Int64 {
    switch month {
    case 2: isLeap(year) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Days since 1970 of a date in the Gregorian calendar, by years that begin in March.
  private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    let year = month <= 2 ? year - 1 : year
    let era = (year >= 0 ? year : year - 399) / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  /// The date of a day since 1970: the way back.
  private static func date(_ day: Int64) -> (Int64, Int64, Int64) {
    let shifted = day + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }
}

extension Google_Protobuf_Duration {
  /// About 10,000 years, in seconds.
  private static let greatestSeconds: Int64 = 315_576_000_000

  /// `1.5s`, `-3s`.
  public init(json: JSONValue, options: JSONOptions) throws(SchemaError) {
    var scanner = TimeScanner(try json.text())
    let isNegative = scanner.take("-")
    guard let seconds = scanner.number(), let nanos = scanner.fraction(), scanner.take("s"),
      scanner.isAtEnd
    else { throw JSONValue.failure("'\(try json.text())' is no span of time such as 1.5s") }
    guard seconds <= Self.greatestSeconds else {
      throw JSONValue.failure("the span of time is longer than 10,000 years")
    }
    self.init(
      seconds: isNegative ? -seconds : seconds, nanos: isNegative ? -nanos : nanos)
  }

  /// Seconds with an `s`.
  public func writeJSON(to out: inout JSONWriter) throws(SchemaError) {
    guard seconds.magnitude <= Self.greatestSeconds.magnitude, nanos.magnitude < 1_000_000_000,
      seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0)
    else { throw JSONValue.failure("\(seconds) s and \(nanos) ns are no span of time") }
    let sign = seconds < 0 || nanos < 0 ? "-" : ""
    let fraction = TimeScanner.fraction(Int32(nanos.magnitude))
    out.string("\(sign)\(seconds.magnitude)\(fraction)s")
  }
}

/// Reads the parts of a time's text.
private struct TimeScanner {
  private var rest: Substring.UTF8View

  init(_ text: String) {
    rest = Substring(text).utf8
  }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard rest.first == UInt8(ascii: character) else { return false }
    rest = rest.dropFirst()
    return true
  }

  /// Exactly so many digits.
  mutating func digits(_ count: Int) -> Int64? {
    let digits = rest.prefix(count)
    guard digits.count == count, digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return nil
    }
    rest = rest.dropFirst(count)
    return Int64(String(Substring(digits)))
  }

  /// One digit or more.
  mutating func number() -> Int64? {
    let digits = rest.prefix { (0x30...0x39).contains($0) }
    rest = rest.dropFirst(digits.count)
    return Int64(String(Substring(digits)))
  }

  /// Nanoseconds after a point, 0 where there is none; nil when it isn't 1 to 9 digits.
  mutating func fraction() -> Int32? {
    guard take(".") else { return 0 }
    let digits = String(Substring(rest.prefix { (0x30...0x39).contains($0) }))
    guard (1...9).contains(digits.count) else { return nil }
    rest = rest.dropFirst(digits.count)
    return Int32(digits + String(repeating: "0", count: 9 - digits.count))
  }

  /// Seconds east of UTC.
  mutating func offset() -> Int64? {
    if take("Z") { return 0 }
    let isWest = rest.first == UInt8(ascii: "-")
    guard take("+") || take("-"), let hours = digits(2), take(":"), let minutes = digits(2),
      hours < 24, minutes < 60
    else { return nil }
    return (isWest ? -1 : 1) * (hours * 3_600 + minutes * 60)
  }

  /// A number with zeros before it.
  static func padded(_ number: Int64, _ count: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, count - digits.count)) + digits
  }

  /// A point and 3, 6 or 9 digits; nothing for 0.
  static func fraction(_ nanos: Int32) -> String {
    guard nanos != 0 else { return "" }
    let digits = padded(Int64(nanos), 9)
    if digits.hasSuffix("000000") { return "." + digits.dropLast(6) }
    return "." + (digits.hasSuffix("000") ? digits.dropLast(3) : digits[...])
  }
}
