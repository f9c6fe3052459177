import Schema
import Testing
import TestSchemas

/// Google's well-known types in JSON. The canonical mapping as a whole is held by protobuf's own suite
/// (`make conformance`); these are the forms that a reader of ours may look up.
@Suite("Well-known types in JSON")
struct WellKnownTests {
  private func roundTrip<M: Message>(
    _ message: M, _ text: String, options: JSONOptions = JSONOptions()
  ) throws {
    #expect(try message.jsonString(options) == text)
    #expect(try M(json: text, options: options) == message)
  }

  @Test("times are RFC 3339 in UTC, with as many digits as they need")
  func timestamps() throws {
    typealias Time = Google_Protobuf_Timestamp
    try roundTrip(Time(), #""1970-01-01T00:00:00Z""#)
    try roundTrip(
      Time(seconds: 1_795_591_800, nanos: 500_000_000), #""2026-11-25T07:30:00.500Z""#)
    try roundTrip(Time(seconds: -1, nanos: 1), #""1969-12-31T23:59:59.000000001Z""#)
    try roundTrip(Time(seconds: -62_135_596_800), #""0001-01-01T00:00:00Z""#)
    try roundTrip(Time(seconds: 253_402_300_799), #""9999-12-31T23:59:59Z""#)
    try roundTrip(Time(seconds: 951_782_400), #""2000-02-29T00:00:00Z""#)
    #expect(try Time(json: #""2026-11-25T08:30:00+01:00""#).seconds == 1_795_591_800)
    for text in [
      "2026-02-29T00:00:00Z", "2026-11-25t00:00:00Z", "2026-11-25T00:00:00", "2026-11-25",
      "10000-01-01T00:00:00Z", "2026-11-25T24:00:00Z", "2026-11-25T00:00:00.Z",
    ] {
      #expect(throws: SchemaError.self) { try Time(json: "\"\(text)\"") }
    }
    #expect(throws: SchemaError.self) { try Time(seconds: 253_402_300_800).jsonString() }
  }

  @Test("spans of time are seconds")
  func durations() throws {
    typealias Span = Google_Protobuf_Duration
    try roundTrip(Span(seconds: 1, nanos: 500_000_000), #""1.500s""#)
    try roundTrip(Span(seconds: 0, nanos: -1_000), #""-0.000001s""#)
    try roundTrip(Span(seconds: -315_576_000_000), #""-315576000000s""#)
    for text in ["1", "1.s", "s", "1.0000000001s", "315576000001s"] {
      #expect(throws: SchemaError.self) { try Span(json: "\"\(text)\"") }
    }
    #expect(throws: SchemaError.self) { try Span(seconds: 1, nanos: -1).jsonString() }
  }

  @Test("a struct is an object, and null is one of its values")
  func structs() throws {
    let text = #"{"a":[1,"x",true,null,{"b":1.5}]}"#
    #expect(try Google_Protobuf_Struct(json: text).jsonString() == text)
    #expect(throws: SchemaError.self) {
      try Google_Protobuf_Value(kind: .numberValue(.infinity)).jsonString()
    }
  }

  @Test("masks are paths in camel case, wrappers their scalars")
  func masksAndWrappers() throws {
    try roundTrip(Google_Protobuf_FieldMask(paths: ["user_name", "a.b_c"]), #""userName,a.bC""#)
    #expect(throws: SchemaError.self) {
      try Google_Protobuf_FieldMask(paths: ["a__b"]).jsonString()
    }
    for path in ["", "a,b", "a,\u{301}b", "_á"] {
      #expect(throws: SchemaError.self) {
        try Google_Protobuf_FieldMask(paths: [path]).jsonString()
      }
    }
    // Only ASCII letters have two cases.
    try roundTrip(Google_Protobuf_FieldMask(paths: ["Ѽa", "ÁÉ"]), #""Ѽa,ÁÉ""#)
    try roundTrip(Google_Protobuf_Int64Value(value: 5), #""5""#)
    try roundTrip(Google_Protobuf_BoolValue(value: false), "false")
  }

  @Test("an Any has its message's fields beside its type, if the type is known")
  func anys() throws {
    let options = JSONOptions(types: [Inner.self])
    let url = "type.googleapis.com/holdfast.testing.v1.Inner"
    let inner = try Google_Protobuf_Any(
      typeURL: url, value: Inner(number: 3, text: "x").encodedBytes())
    try roundTrip(inner, #"{"@type":"\#(url)","number":3,"text":"x"}"#, options: options)
    let span = try Google_Protobuf_Any(
      typeURL: "x/google.protobuf.Duration",
      value: Google_Protobuf_Duration(seconds: 2).encodedBytes())
    try roundTrip(span, #"{"@type":"x/google.protobuf.Duration","value":"2s"}"#)
    try roundTrip(Google_Protobuf_Any(), "{}")
    #expect(throws: SchemaError.self) { try inner.jsonString() }
  }

  @Test("what is unknown is passed over when that is asked for, defaults are written when that is")
  func options() throws {
    let lenient = JSONOptions(ignoresUnknown: true)
    #expect(
      try Everything(
        json: #"{"nobody": {"x": [1]}, "color": "BLACK", "colors": ["BLACK", "COLOR_RED"]}"#,
        options: lenient) == Everything(colors: [.red]))
    #expect(
      try Inner().jsonString(JSONOptions(writesDefaults: true)) == #"{"number":0,"text":""}"#)
  }

  @Test("texts that could be read in two ways are refused")
  func strictness() {
    for text in [
      #"{"number":1,"number":1}"#, #"{"text":"\ud800"}"#, #"{"text":"\udc00\ud800"}"#,
      #"{"number":01}"#, #"{"number":1,}"#, #"{"number":+1}"#, "{\"text\":\"a\nb\"}",
      #"{"number":1} {}"#, #"{number:1}"#, #"{"number":1.}"#, #"{"text":'a'}"#,
    ] {
      #expect(throws: SchemaError.self, "\(text)") { try Inner(json: text) }
    }
  }
}
