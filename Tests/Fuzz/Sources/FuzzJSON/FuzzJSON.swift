import Schema
import TestSchemas

/// Feeds the JSON reader: what it takes must come back the same from its own text and its encoding. The
/// first byte chooses the message, the rest is the text.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeBufferPointer(start: start, count: count)
  guard let choice = input.first else { return 0 }
  let text = String(decoding: input.dropFirst(), as: UTF8.self)
  types[Int(choice) % types.count].check(text)
  return 0
}

private let types: [any Message.Type] = [
  Everything.self, Tree.self, Google_Protobuf_Any.self, Google_Protobuf_Value.self,
  Google_Protobuf_Struct.self, Google_Protobuf_ListValue.self, Google_Protobuf_Timestamp.self,
  Google_Protobuf_Duration.self, Google_Protobuf_FieldMask.self, Google_Protobuf_BytesValue.self,
  Google_Protobuf_DoubleValue.self, Google_Protobuf_FloatValue.self,
  Google_Protobuf_Int64Value.self, Google_Protobuf_UInt64Value.self,
  Google_Protobuf_StringValue.self,
]

extension Message {
  /// Reads the text as one message; a message that doesn't survive its text or its encoding is a crash.
  fileprivate static func check(_ text: String) {
    let options = JSONOptions(types: [Everything.self, Tree.self])
    guard let message = try? Self(json: text, options: options) else { return }
    do {
      // Texts are compared rather than messages: NaN differs from itself.
      let written = try message.jsonString(options)
      let again = try Self(json: written, options: options).jsonString(options)
      precondition(again == written, "another text")
      let decoded = try Self(encodedBytes: message.encodedBytes()).jsonString(options)
      precondition(decoded == written, "another encoding")
    } catch {
      preconditionFailure("\(error)")
    }
  }
}
