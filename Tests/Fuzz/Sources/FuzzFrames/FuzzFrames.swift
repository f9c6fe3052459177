import RPCFuzzing

/// Feeds the frame decoder: what it says doesn't depend on how bytes are cut.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  decodeFrames([UInt8](UnsafeBufferPointer(start: start, count: count)))
  return 0
}
