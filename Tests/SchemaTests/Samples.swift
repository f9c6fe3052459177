import NIOCore
import Schema
import TestSchemas

/// Messages that the tests encode.
enum Samples {
  /// Every field set, and every kind of value that is easily got wrong.
  static let everything = Everything(
    int32Value: -1, int64Value: .min, uint32Value: .max, uint64Value: .max, sint32Value: .min,
    sint64Value: -2, fixed32Value: 0xdead_beef, fixed64Value: .max, sfixed32Value: -3,
    sfixed64Value: .min, floatValue: -1.5, doubleValue: .pi, boolValue: true,
    stringValue: "grüße, 世界 🌍", bytesValue: [0, 1, 0xff], color: .green,
    inner: Inner(number: 7, text: "inner"), numbers: [0, -1, .max, .min],
    doubles: [0, -0.0, .infinity, 1e-300], flags: [true, false, true], strings: ["", "a", "é"],
    chunks: [[], [0], [1, 2, 3]], colors: [.red, .UNRECOGNIZED(77), .unspecified],
    inners: [Inner(), Inner(number: -5, text: "x")], counts: ["one": 1, "": 0, "two": 2],
    byNumber: [.max: Inner(number: 1), 0: Inner()], byFlag: [true: .red, false: .green],
    choice: .message(Inner(number: 3, text: "chosen")), data: Body([9, 8, 7]))

  /// One member of the oneof after another.
  static let choices: [Everything.OneOf_Choice?] = [
    nil, .name(""), .name("n"), .number(0), .number(-1), .message(Inner()), .shade(.unspecified),
    .shade(.UNRECOGNIZED(9)), .raw([]), .raw([1]), .ratio(0), .ratio(2.5),
  ]

  /// A chain of trees, `depth` messages in all.
  static func chain(depth: Int) -> Tree {
    var tree = Tree(label: "end")
    for _ in 1..<depth { tree = Tree(left: tree) }
    return tree
  }
}

/// The bytes of a message, written field by field.
struct Wire {
  var bytes: [UInt8] = []

  /// A number of any length.
  static func varint(_ number: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = number
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  /// A field's tag.
  func tag(_ number: UInt64, _ wireType: UInt64) -> Wire {
    Wire(bytes: bytes + Wire.varint(number << 3 | wireType))
  }

  /// A number in a field.
  func varint(_ field: UInt64, _ number: UInt64) -> Wire {
    Wire(bytes: tag(field, 0).bytes + Wire.varint(number))
  }

  /// Bytes in a field.
  func delimited(_ field: UInt64, _ value: [UInt8]) -> Wire {
    Wire(bytes: tag(field, 2).bytes + Wire.varint(UInt64(value.count)) + value)
  }

  /// Bytes as they are.
  func raw(_ value: [UInt8]) -> Wire { Wire(bytes: bytes + value) }
}
