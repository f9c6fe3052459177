import NIOCore
import Schema
import Testing
import TestSchemas

@Suite("Encoding and decoding")
struct RoundTripTests {
  @Test("a message with every kind of field comes back as it was")
  func everything() throws {
    let bytes = try Samples.everything.encodedBytes()
    #expect(try Everything(encodedBytes: bytes) == Samples.everything)
  }

  @Test("a message of defaults is no bytes, and no bytes are a message of defaults")
  func defaults() throws {
    #expect(try Everything().encodedBytes() == [])
    #expect(try Everything(encodedBytes: []) == Everything())
    #expect(try Nothing(encodedBytes: Nothing().encodedBytes()) == Nothing())
  }

  @Test("every member of a oneof comes back, defaults too", arguments: Samples.choices)
  func choices(choice: Everything.OneOf_Choice?) throws {
    let message = Everything(choice: choice)
    #expect(try Everything(encodedBytes: message.encodedBytes()) == message)
  }

  @Test("minus zero keeps its sign")
  func negativeZero() throws {
    var message = Everything(floatValue: -0.0, doubleValue: -0.0)
    message = try Everything(encodedBytes: message.encodedBytes())
    #expect(message.floatValue.sign == .minus)
    #expect(message.doubleValue.sign == .minus)
  }

  @Test("NaN and infinities come back")
  func oddFloats() throws {
    let message = Everything(floatValue: .nan, doubleValue: -.infinity)
    let decoded = try Everything(encodedBytes: message.encodedBytes())
    #expect(decoded.floatValue.isNaN)
    #expect(decoded.doubleValue == -.infinity)
  }

  @Test("equal maps have equal encodings, whatever the order they were filled in")
  func mapsAreSorted() throws {
    let keys = (0..<100).map { "key \($0)" }
    let forward = Everything(
      counts: Dictionary(uniqueKeysWithValues: keys.map { ($0, 1) }))
    var backward = Everything()
    for key in keys.reversed() { backward.counts[key] = 1 }
    #expect(try forward.encodedBytes() == backward.encodedBytes())
  }

  @Test("encoding appends to what a buffer holds and leaves its reader where it is")
  func appends() throws {
    var buffer = ByteBuffer(string: "before")
    buffer.moveReaderIndex(forwardBy: 3)
    try Inner(number: 1).encode(into: &buffer)
    #expect(Array(buffer.readableBytesView) == Array("ore".utf8) + [8, 1])
  }

  @Test("a large message outgrows the arena's first block")
  func large() throws {
    let message = Everything(
      strings: (0..<5000).map { "string number \($0)" },
      inners: (0..<5000).map { Inner(number: $0, text: String(repeating: "x", count: 20)) })
    #expect(try Everything(encodedBytes: message.encodedBytes()) == message)
  }

  @Test("a message comes back wherever in it the arena's first block ends")
  func growing() throws {
    // What is written first, from the end: ever more of it moves the place where the room runs out from
    // the first field to the last.
    var message = Samples.everything
    for count in 2000..<4090 {
      let bytes = Wire.varint(UInt64(count)) + [UInt8](repeating: 0x5a, count: count)
      message.unknownFields = UnknownFields(
        [900, 901].map { UnknownFields.Field(number: $0, wireType: 2, bytes: bytes) })
      let decoded = try Everything(encodedBytes: message.encodedBytes())
      guard decoded == message else {
        Issue.record("with \(count) bytes twice at the end")
        return
      }
    }
  }

  @Test("what is long comes back wherever it stands", arguments: [4095, 4096, 5000, 100_000])
  func long(count: Int) throws {
    let bytes = [UInt8](repeating: 0x5a, count: count)
    let text = String(repeating: "é", count: count / 2)
    let message = Everything(
      stringValue: text, bytesValue: bytes, inner: Inner(number: 1, text: text),
      doubles: [Double](repeating: .pi, count: count / 8), strings: ["", text, "a", text],
      chunks: [bytes, [], bytes], inners: [Inner(text: text), Inner()], counts: [text: 1, "a": 2],
      byNumber: [3: Inner(text: text)], choice: .raw(bytes), data: Body(bytes))
    #expect(try Everything(encodedBytes: message.encodedBytes()) == message)
  }

  @Test("numbers of a packed field may come one by one, and the other way round")
  func unpacked() throws {
    let single = Wire().varint(21, 1).delimited(21, [2, 3]).varint(21, 4).bytes
    #expect(try Everything(encodedBytes: single).numbers == [1, 2, 3, 4])
  }

  @Test("of a scalar given twice the last counts, as of a oneof's members and a map's key")
  func lastCounts() throws {
    let bytes = Wire().varint(1, 1).varint(1, 2).varint(42, 5).delimited(41, [0x61])
      .delimited(31, [0x0a, 1, 0x6b, 0x10, 1]).delimited(31, [0x0a, 1, 0x6b, 0x10, 2]).bytes
    let message = try Everything(encodedBytes: bytes)
    #expect(message.int32Value == 2)
    #expect(message.choice == .name("a"))
    #expect(message.counts == ["k": 2])
  }

  @Test("a map's entry without key and value has their defaults")
  func emptyMapEntry() throws {
    let message = try Everything(encodedBytes: Wire().delimited(31, []).delimited(32, []).bytes)
    #expect(message.counts == ["": 0])
    #expect(message.byNumber == [0: Inner()])
  }

  @Test("a message that holds itself comes back")
  func recursive() throws {
    let tree = Tree(
      label: "root", left: Tree(label: "left", left: Tree()),
      children: [Tree(label: "a"), Tree(children: [Tree()])])
    #expect(try Tree(encodedBytes: tree.encodedBytes()) == tree)
  }

  @Test("a NUL in a string comes back, wherever the string stands")
  func nulInStrings() throws {
    let message = Everything(
      stringValue: "a\0b", strings: ["", "\0", "c\0"], counts: ["\0": 1, "": 2, "\0\0": 3],
      choice: .name("\0x"))
    #expect(try Everything(encodedBytes: message.encodedBytes()) == message)
  }
}
