import Schema
import Testing

@Suite("Messages packed in an Any")
struct AnyTests {
  private typealias Box = Google_Protobuf_Any
  private let span = Google_Protobuf_Duration(seconds: 3, nanos: 7)

  @Test("come out as they went in, by the type that the URL ends with")
  func roundTrip() throws {
    var box = try Box(packing: span)
    #expect(box.typeURL == "type.googleapis.com/google.protobuf.Duration")
    #expect(try box.unpack(as: Google_Protobuf_Duration.self) == span)
    box.typeURL = "example.org/types/google.protobuf.Duration"
    #expect(try box.unpack(as: Google_Protobuf_Duration.self) == span)
  }

  @Test("aren't taken for another type, nor for one whose name only ends alike")
  func otherTypes() throws {
    var box = try Box(packing: span)
    #expect(try box.unpack(as: Google_Protobuf_Timestamp.self) == nil)
    for url in ["", "google.protobuf.Duration", "x/not.google.protobuf.Duration"] {
      box.typeURL = url
      #expect(!box.holds(Google_Protobuf_Duration.self))
    }
  }

  @Test("that are broken are an error")
  func broken() throws {
    var box = try Box(packing: span)
    box.value.append(0xff)
    #expect(throws: SchemaError.self) { try box.unpack(as: Google_Protobuf_Duration.self) }
  }
}
