import NIOCore
import Schema
import Testing
import TestSchemas

@Suite("Input that is refused")
struct DecodingErrorTests {
  /// Input, what is wrong with it, and where.
  struct Case: Sendable, CustomTestStringConvertible {
    let what: String
    let bytes: [UInt8]
    let code: SchemaError.Code
    var message = "Everything"
    let field: String?

    var testDescription: String { what }
  }

  static let cases: [Case] = [
    Case(what: "a number cut off", bytes: [8, 0x80], code: .truncated, field: "int32_value"),
    Case(what: "a tag alone", bytes: [8], code: .truncated, field: "int32_value"),
    Case(what: "a tag cut off", bytes: [0x88], code: .truncated, field: nil),
    Case(
      what: "a fixed32 cut off", bytes: Wire().tag(7, 5).raw([1, 2, 3]).bytes, code: .truncated,
      field: "fixed32_value"),
    Case(
      what: "a fixed64 cut off", bytes: Wire().tag(8, 1).raw([1, 2, 3, 4, 5, 6, 7]).bytes,
      code: .truncated, field: "fixed64_value"),
    Case(
      what: "a length that lies", bytes: Wire().tag(14, 2).raw([5, 0x61]).bytes, code: .truncated,
      field: "string_value"),
    Case(
      what: "a length of 2^31", bytes: Wire().tag(16, 2).raw([0x80, 0x80, 0x80, 0x80, 8]).bytes,
      code: .truncated, field: "bytes_value"),
    Case(
      what: "a length of six bytes",
      bytes: Wire().tag(16, 2).raw([0x80, 0x80, 0x80, 0x80, 0x80, 0]).bytes, code: .invalidVarint,
      field: "bytes_value"),
    Case(
      what: "a number of eleven bytes",
      bytes: [8] + [UInt8](repeating: 0x80, count: 10) + [0], code: .invalidVarint,
      field: "int32_value"),
    Case(what: "field number 0", bytes: [0, 0], code: .invalidTag, field: nil),
    Case(what: "field number 0 in two bytes", bytes: [0x80, 0, 0], code: .invalidTag, field: nil),
    Case(
      what: "a field number of 2^29", bytes: Wire().varint(1 << 29, 0).bytes, code: .invalidTag,
      field: nil),
    Case(
      what: "a tag of six bytes", bytes: [0x88, 0x80, 0x80, 0x80, 0x80, 0, 0], code: .invalidTag,
      field: nil),
    Case(what: "wire type 6", bytes: [8 | 6], code: .invalidTag, field: "int32_value"),
    Case(
      what: "a group without its end", bytes: Wire().tag(77, 3).varint(1, 1).bytes,
      code: .truncated, field: nil),
    Case(
      what: "the end of a group that didn't begin", bytes: Wire().tag(77, 4).bytes,
      code: .invalidTag, field: nil),
    Case(
      what: "a group that another's end ends", bytes: Wire().tag(77, 3).tag(78, 4).bytes,
      code: .invalidTag, field: nil),
    Case(
      what: "a packed double of nine bytes",
      bytes: Wire().delimited(22, [UInt8](repeating: 0, count: 9)).bytes, code: .invalidPacked,
      field: "doubles"),
    Case(
      what: "a packed number cut off", bytes: Wire().delimited(21, [1, 0x80]).bytes,
      code: .truncated, field: "numbers"),
    Case(
      what: "a packed number of eleven bytes",
      bytes: Wire().delimited(21, [UInt8](repeating: 0x80, count: 10) + [0]).bytes,
      code: .invalidVarint, field: "numbers"),
    Case(
      what: "a string that isn't UTF-8 in a list",
      bytes: Wire().delimited(24, [0x61]).delimited(24, [0xff]).bytes, code: .invalidUTF8,
      field: "strings"),
    Case(
      what: "a string that isn't UTF-8 in a oneof",
      bytes: Wire().delimited(41, [0xc0, 0x80]).bytes,
      code: .invalidUTF8, field: "name"),
    Case(
      what: "a string that isn't UTF-8 in a message inside",
      bytes: Wire().delimited(18, [0x12, 1, 0x80]).bytes, code: .invalidUTF8, message: "Inner",
      field: "text"),
    Case(
      what: "a string that isn't UTF-8 as a map's key",
      bytes: Wire().delimited(31, [0x0a, 1, 0x80]).bytes, code: .invalidUTF8,
      message: "Everything.CountsEntry", field: "key"),
    Case(
      what: "a message inside that is longer than its field",
      bytes: Wire().delimited(18, [0x12, 3, 0x61]).bytes, code: .truncated, message: "Inner",
      field: "text"),
  ]

  @Test("what is wrong and where is said of", arguments: cases)
  func refused(input: Case) {
    let error = #expect(throws: SchemaError.self) {
      try Everything(encodedBytes: input.bytes)
    }
    #expect(error?.code == input.code)
    #expect(error?.message == "holdfast.testing.v1.\(input.message)")
    #expect(error?.field == input.field)
  }

  @Test("only UTF-8 passes as a string, and all of it does")
  func utf8() throws {
    let good: [[UInt8]] = [
      [0x7f], [0xc2, 0x80], [0xdf, 0xbf], [0xe0, 0xa0, 0x80], [0xed, 0x9f, 0xbf],
      [0xee, 0x80, 0x80], [0xef, 0xbf, 0xbf], [0xf0, 0x90, 0x80, 0x80], [0xf4, 0x8f, 0xbf, 0xbf],
    ]
    let bad: [[UInt8]] = [
      [0x80], [0xbf], [0xc0, 0xaf], [0xc1, 0xbf], [0xc2], [0xc2, 0x41], [0xe0, 0x9f, 0xbf],
      [0xe1, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x8f, 0xbf, 0xbf], [0xf4, 0x90, 0x80, 0x80],
      [0xf1, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe1, 0x80, 0xc0], [0xf1, 0x80, 0x80, 0x00],
    ]
    // Every place relative to the check's words of eight bytes.
    for before in 0..<10 {
      let ascii = [UInt8](repeating: 0x61, count: before)
      for sequence in good {
        let text = ascii + sequence + ascii
        let message = try Inner(encodedBytes: Wire().delimited(2, text).bytes)
        #expect(Array(message.text.utf8) == text)
      }
      for sequence in bad {
        let error = #expect(throws: SchemaError.self) {
          try Inner(encodedBytes: Wire().delimited(2, ascii + sequence + ascii).bytes)
        }
        #expect(error?.code == .invalidUTF8)
      }
    }
  }

  @Test("a valid message cut off anywhere is refused or is a shorter message, and never crashes")
  func truncatedAnywhere() throws {
    let bytes = try Samples.everything.encodedBytes()
    var refused = 0
    for count in 0..<bytes.count {
      do {
        let shorter = try Everything(encodedBytes: Array(bytes[..<count]))
        #expect(shorter != Samples.everything)
      } catch {
        #expect(error.code == .truncated)
        #expect(error.message.hasPrefix("holdfast.testing.v1."))
        refused += 1
      }
    }
    #expect(refused > bytes.count / 2)
  }

  @Test("a hundred messages inside one another pass, a hundred and one are refused")
  func depth() throws {
    let deepest = Samples.chain(depth: 100)
    let bytes = try deepest.encodedBytes()
    #expect(try Tree(encodedBytes: bytes) == deepest)

    let tooDeep = #expect(throws: SchemaError.self) {
      try Tree(encodedBytes: Wire().delimited(2, bytes).bytes)
    }
    #expect(tooDeep?.code == .tooDeep)
    #expect(tooDeep?.message == "holdfast.testing.v1.Tree")
    let encoding = #expect(throws: SchemaError.self) {
      try Samples.chain(depth: 101).encodedBytes()
    }
    #expect(encoding?.code == .tooDeep)
    let limit = #expect(throws: SchemaError.self) {
      try Tree(encodedBytes: bytes, limits: DecodingLimits(depth: 99))
    }
    #expect(limit?.code == .tooDeep)
  }

  @Test("groups inside one another are refused beyond the limit too")
  func deepGroups() {
    var bytes: [UInt8] = []
    for _ in 0..<4000 { bytes += Wire().tag(77, 3).bytes }
    for _ in 0..<4000 { bytes += Wire().tag(77, 4).bytes }
    let error = #expect(throws: SchemaError.self) { try Tree(encodedBytes: bytes) }
    #expect(error?.code == .tooDeep)
  }

  @Test("thousands of messages inside one another don't overflow the stack")
  func veryDeep() {
    var bytes: [UInt8] = []
    for _ in 0..<4000 { bytes = Wire().delimited(2, bytes).bytes }
    let error = #expect(throws: SchemaError.self) { try Tree(encodedBytes: bytes) }
    #expect(error?.code == .tooDeep)
  }

  @Test("a message longer than the limit is refused before it is read")
  func tooLarge() {
    let error = #expect(throws: SchemaError.self) {
      try Inner(encodedBytes: [0, 0, 0, 0], limits: DecodingLimits(bytes: 3))
    }
    #expect(error?.code == .tooLarge)
  }

  @Test("a mebibyte of four-byte messages is refused by the standard limits")
  func amplification() {
    // On the wire a child with an empty message in it; in memory more than 500 bytes.
    let unit = Wire().delimited(3, Wire().delimited(4, []).bytes).bytes
    var bytes: [UInt8] = []
    while bytes.count < 1 << 20 { bytes += unit }
    var code: SchemaError.Code?
    do throws(SchemaError) { _ = try Tree(encodedBytes: bytes) } catch { code = error.code }
    #expect(code == .tooMuchMemory)
  }

  @Test("a message too large for the budget is refused, whatever it is that goes beyond")
  func budgetSuffices() throws {
    // Ever more fields, so that the limit falls on every kind of allocation.
    for count in stride(from: 0, to: 400, by: 7) {
      let message = Everything(
        numbers: [Int32](repeating: 1, count: count), strings: (0..<count).map { "\($0)" },
        inners: (0..<count).map { Inner(number: Int32($0), text: "t") })
      let bytes = try message.encodedBytes()
      for memory in [4 << 10, 16 << 10, 32 << 10] {
        do throws(SchemaError) {
          _ = try Everything(encodedBytes: bytes, limits: DecodingLimits(memory: memory))
        } catch {
          #expect(error.code == .tooMuchMemory)
        }
      }
    }
  }

  @Test("small fields that would fill the memory are refused")
  func memory() {
    let limits = DecodingLimits(memory: 1 << 20)
    let units = [
      Wire().delimited(27, []), Wire().delimited(33, []), Wire().delimited(24, []),
      Wire().delimited(25, [1]), Wire().delimited(900, [1]), Wire().varint(14, 1),
    ]
    for unit in units {
      let bytes = [UInt8]((0..<100_000).map { _ in unit.bytes }.joined())
      let error = #expect(throws: SchemaError.self) {
        try Everything(encodedBytes: bytes, limits: limits)
      }
      #expect(error?.code == .tooMuchMemory)
      #expect(error?.message.hasPrefix("holdfast.testing.v1.") == true)
    }
    let packed = Wire().delimited(21, [UInt8](repeating: 0, count: 1 << 20)).bytes
    let error = #expect(throws: SchemaError.self) {
      try Everything(encodedBytes: packed, limits: limits)
    }
    #expect(error?.code == .tooMuchMemory)
    #expect(error?.field == "numbers")
  }
}
