/// Google's well-known types: messages whose JSON is not an object of their fields.
enum WellKnownTypes {
  /// Every one that stands in an `Any` as `{"@type": …, "value": …}`.
  static let special: [any Message.Type] = [
    Google_Protobuf_Any.self, Google_Protobuf_Timestamp.self, Google_Protobuf_Duration.self,
    Google_Protobuf_FieldMask.self, Google_Protobuf_Struct.self, Google_Protobuf_Value.self,
    Google_Protobuf_ListValue.self, Google_Protobuf_BoolValue.self,
    Google_Protobuf_BytesValue.self, Google_Protobuf_DoubleValue.self,
    Google_Protobuf_FloatValue.self, Google_Protobuf_Int32Value.self,
    Google_Protobuf_Int64Value.self, Google_Protobuf_StringValue.self,
    Google_Protobuf_UInt32Value.self, Google_Protobuf_UInt64Value.self,
  ]

  /// These and `Empty`.
  static let all: [any Message.Type] = special + [Google_Protobuf_Empty.self]

  /// Whether a message's JSON is not an object of its fields.
  static func isSpecial(_ type: any Message.Type) -> Bool {
    special.contains { $0 == type }
  }
}
