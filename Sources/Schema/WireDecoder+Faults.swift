internal import CProtobufC

// The errors of decoding.
extension WireDecoder {
  /// An error of a message or one of its fields.
  @inline(never)
  func fault(
    _ code: SchemaError.Code, _ descriptor: Descriptor, _ field: Field?, _ text: String
  ) -> SchemaError {
    SchemaError(
      code, message: Self.text(descriptor.pointee.name),
      field: field.map { Self.text($0.pointee.name) }, text: text)
  }

  /// A field that ends too early.
  @inline(never)
  func truncated(_ descriptor: Descriptor, _ field: Field?, _ number: UInt32) -> SchemaError {
    fault(.truncated, descriptor, field, "field \(number) is longer than what is left")
  }

  /// A number that is cut off, or too long.
  @inline(never)
  func badVarint(
    _ at: Bytes, _ end: Bytes, _ descriptor: Descriptor, _ field: Field?, _ number: UInt32
  ) -> SchemaError {
    at == end
      ? fault(.truncated, descriptor, field, "ends in the middle of a number of field \(number)")
      : fault(.invalidVarint, descriptor, field, "a number of field \(number) is too long")
  }

  private static func text(_ name: UnsafePointer<CChar>?) -> String {
    name.map { String(cString: $0) } ?? ""
  }
}
