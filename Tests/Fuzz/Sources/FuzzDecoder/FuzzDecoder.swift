import Schema
import TestSchemas

/// Feeds the decoder: what it takes must come back the same from its own encoding and its JSON.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
  check(Everything.self, input)
  check(Tree.self, input)
  return 0
}

/// Decodes the input as one message; a message that doesn't survive its encoding is a crash.
private func check<M: Message>(_ type: M.Type, _ input: [UInt8]) {
  let limits = DecodingLimits(memory: 4 << 20)
  guard let message = try? M(encodedBytes: input, limits: limits) else { return }
  do {
    // Encodings are compared rather than messages: NaN differs from itself.
    let bytes = try message.encodedBytes()
    let bytesAgain = try M(encodedBytes: bytes).encodedBytes()
    precondition(bytesAgain == bytes, "another encoding")
    let text = try message.jsonString()
    let textAgain = try M(json: text).jsonString()
    precondition(textAgain == text, "another text")
  } catch {
    preconditionFailure("\(error)")
  }
}
