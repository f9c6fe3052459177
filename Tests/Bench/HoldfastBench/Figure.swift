/// One measured figure beside what a C program reached in the same run.
struct Figure: Sendable {
  /// Its name, such as `rpc.unary.64`.
  var name: String
  /// What was measured, in `unit`: more is better.
  var value: Double
  /// `calls/s`, `MB/s` (millions of bytes a second), `files/s` or `messages/s`.
  var unit: String
  /// The yardstick's name.
  var against: String
  /// What the yardstick reached, in `unit`.
  var yardstick: Double
  /// What else is worth knowing, for people.
  var notes: String = ""

  /// How much of the yardstick was reached.
  var ratio: Double { yardstick > 0 ? value / yardstick : 0 }

  /// One JSON object.
  var json: String {
    """
    {"bench": "\(name)", "value": \(number(value)), "unit": "\(unit)", "against": "\(against)", \
    "yardstick": \(number(yardstick)), "ratio": \(threeDigits(ratio)), \
    "notes": "\(notes)"}
    """
  }

  /// One line of the table.
  var row: String {
    let columns = [
      name.padded(to: 16), number(value).paddedLeft(to: 11), unit.padded(to: 10),
      against.padded(to: 19), number(yardstick).paddedLeft(to: 11),
      threeDigits(ratio).paddedLeft(to: 7), notes,
    ]
    return columns.joined(separator: "  ").trimmingSuffix { $0 == " " }
  }

  /// The table's head.
  static let head = [
    "figure".padded(to: 16), "value".paddedLeft(to: 11), "unit".padded(to: 10),
    "against".padded(to: 19), "yardstick".paddedLeft(to: 11), "ratio".paddedLeft(to: 7),
  ].joined(separator: "  ")
}

/// A number with three significant digits, or all of its whole ones.
func number(_ value: Double) -> String {
  value >= 100 ? "\(Int(value.rounded()))" : threeDigits(value)
}

/// A number with three significant digits.
func threeDigits(_ value: Double) -> String {
  guard value > 0, value.isFinite else { return "0" }
  var scale = 1.0
  while value * scale < 100, scale < 1e9 { scale *= 10 }
  let rounded = (value * scale).rounded()
  guard scale > 1 else { return "\(Int(rounded))" }
  return "\(rounded / scale)"
}

extension String {
  /// Spaces after it.
  func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }

  /// Spaces before it.
  func paddedLeft(to width: Int) -> String {
    String(repeating: " ", count: max(0, width - count)) + self
  }

  fileprivate func trimmingSuffix(while isDropped: (Character) -> Bool) -> String {
    var rest = self[...]
    while let last = rest.last, isDropped(last) { rest.removeLast() }
    return String(rest)
  }
}
