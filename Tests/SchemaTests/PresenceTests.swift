import Schema
import Testing
import TestSchemas

/// proto3's `optional`: a default that is there differs from nothing.
@Suite("Fields that may be absent")
struct PresenceTests {
  /// Each field at its default, present.
  static let present: [Presence] = [
    Presence(number: 0), Presence(text: ""), Presence(raw: []), Presence(flag: false),
    Presence(level: Level()), Presence(outer: Outer()), Presence(inner: Presence()),
    Presence(linux: 0), Presence(choice: .typeof("")),
  ]

  @Test("a default that is there is written, read and told from one that isn't")
  func presence() throws {
    #expect(try Presence().encodedBytes().isEmpty)
    for message in Self.present {
      let bytes = try message.encodedBytes()
      #expect(!bytes.isEmpty)
      #expect(message != Presence())
      #expect(try Presence(encodedBytes: bytes) == message)
      #expect(try Presence(json: message.jsonString()) == message)
      #expect(try message.jsonString() != "{}")
    }
  }

  @Test("other values come back, of names that C has no room for too")
  func values() throws {
    let message = Presence(
      number: -1, text: "a\0b", raw: [0], flag: true, outer: Outer(middle: Outer.Middle()),
      inner: Presence(number: 0, base: "b"), base: "x", unix: [1, 2], linux: -0.0,
      choice: .restrict(7))
    #expect(try Presence(encodedBytes: message.encodedBytes()) == message)
    #expect(try Presence(json: message.jsonString()) == message)
  }
}
