// The parts of filling a C struct that need not be inlined into generated code.
extension Arena {
  @usableFromInline
  static func tooDeep(_ message: String) -> SchemaError {
    SchemaError(
      .tooDeep, message: message,
      text: "nested deeper than \(DecodingLimits.greatestDepth) messages")
  }
}
