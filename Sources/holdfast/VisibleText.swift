extension String {
  /// The text for people's eyes: what would end the line, move a terminal's cursor, give it orders or turn
  /// the order of its letters round is written as `\n`, `\x1B` or `\u{202E}`.
  ///
  /// Names come from others, and may hold anything but NUL.
  var visible: String {
    guard unicodeScalars.contains(where: { Self.isInvisible($0) }) else { return self }
    var text = ""
    for scalar in unicodeScalars {
      if Self.isInvisible(scalar) {
        text += Self.escape(scalar)
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x20..<0x7F: false
    case 0..<0x20, 0x7F..<0xA0: true
    // The ends of lines and paragraphs, and the marks that set the direction of writing.
    case 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  private static func escape(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    default:
      let digits = String(scalar.value, radix: 16, uppercase: true)
      if scalar.value > 0xFF { return "\\u{\(digits)}" }
      return "\\x" + (digits.count < 2 ? "0" : "") + digits
    }
  }
}
