public import CProtobufC

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

// The parts of filling a C struct that need not be inlined into generated code.
extension Arena {
  /// Whether there is a NUL among the bytes.
  @usableFromInline
  static func hasNUL(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    memchr(bytes, 0, count) != nil
  }

  /// strcmp.
  @usableFromInline
  static func compare(_ first: UnsafePointer<CChar>, _ second: UnsafePointer<CChar>) -> Int32 {
    strcmp(first, second)
  }

  @usableFromInline
  static func nulInString(_ path: StaticString) -> SchemaError {
    SchemaError(.nulInString, path: path, text: "a string with a NUL can't be encoded")
  }

  @usableFromInline
  static func tooDeep(_ message: String) -> SchemaError {
    SchemaError(
      .tooDeep, message: message,
      text: "nested deeper than \(DecodingLimits.greatestDepth) messages")
  }

  /// Adds a field to the message's unknown fields, which are packed last.
  @usableFromInline
  func addUnknown<CStruct, Value: BitwiseCopyable>(
    _ number: UInt32, _ value: Value, _ wireType: ProtobufCWireType,
    to c: UnsafeMutablePointer<CStruct>
  ) throws(SchemaError) {
    let data = try values(Value.self, 1)
    data.initialize(to: value)
    let base = UnsafeMutableRawPointer(c).assumingMemoryBound(to: ProtobufCMessage.self)
    let count = Int(base.pointee.n_unknown_fields)
    // Rare enough that the list may be copied for every one more.
    let fields = try values(ProtobufCMessageUnknownField.self, count + 1)
    if let present = base.pointee.unknown_fields {
      fields.initialize(from: present, count: count)
    }
    (fields + count).initialize(
      to: ProtobufCMessageUnknownField(
        tag: number, wire_type: wireType, len: MemoryLayout<Value>.size,
        data: UnsafeMutableRawPointer(data).assumingMemoryBound(to: UInt8.self)))
    base.pointee.unknown_fields = fields
    base.pointee.n_unknown_fields = UInt32(count + 1)
  }
}
