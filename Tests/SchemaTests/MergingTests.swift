import Schema
import Testing
import TestSchemas

/// What protobuf's encoding rules say of fields that come again, or otherwise than expected.
@Suite("Merging, and fields of other kinds")
struct MergingTests {
  @Test("a singular message that comes twice is merged field by field")
  func singularMessages() throws {
    let bytes = Wire().delimited(18, [8, 1]).delimited(18, [0x12, 1, 0x61]).delimited(18, [8, 2])
    #expect(try Everything(encodedBytes: bytes.bytes).inner == Inner(number: 2, text: "a"))
  }

  @Test("a oneof's message is merged with itself, and replaced by another member")
  func oneofs() throws {
    let again = Wire().delimited(43, [8, 1]).delimited(43, [0x12, 1, 0x61]).bytes
    #expect(
      try Everything(encodedBytes: again).choice == .message(Inner(number: 1, text: "a")))
    let other = Wire().delimited(43, [8, 1]).delimited(41, [0x62]).delimited(43, [0x12, 1, 0x61])
    #expect(try Everything(encodedBytes: other.bytes).choice == .message(Inner(text: "a")))
  }

  @Test("known fields with another wire type, unknown ones and groups are kept as they came")
  func unknownFields() throws {
    let inputs = [
      Wire().varint(14, 1), Wire().delimited(1, [1]), Wire().delimited(13, [1]),
      Wire().varint(27, 1), Wire().tag(77, 3).varint(1, 5).tag(2, 3).tag(2, 4).tag(77, 4),
      Wire().varint(999, 7).delimited(998, [1, 2]),
    ]
    for input in inputs {
      let message = try Everything(encodedBytes: input.bytes)
      #expect(message != Everything())
      var rest = message
      rest.unknownFields = UnknownFields()
      #expect(rest == Everything())
      #expect(try message.encodedBytes() == input.bytes)
    }
  }

  @Test("fields that a message inside doesn't know are kept inside it")
  func unknownInside() throws {
    let bytes = Wire().delimited(18, Wire().varint(1, 3).varint(999, 7).bytes).bytes
    #expect(try Everything(encodedBytes: bytes).encodedBytes() == bytes)
  }

  @Test("a list may come packed, one by one and mixed")
  func lists() throws {
    let mixed = Wire().varint(21, 1).delimited(21, [2, 3]).varint(21, 4).delimited(21, [])
      .delimited(21, [5, 6, 7, 8, 9]).varint(21, 10)
    #expect(try Everything(encodedBytes: mixed.bytes).numbers == Array(1...10))
  }

  @Test("−0.0 is a value, and comes back in every place")
  func minusZero() throws {
    let message = Everything(floatValue: -0.0, doubleValue: -0.0)
    let back = try Everything(encodedBytes: message.encodedBytes())
    #expect(back.floatValue.sign == .minus)
    #expect(back.doubleValue.sign == .minus)
  }
}
