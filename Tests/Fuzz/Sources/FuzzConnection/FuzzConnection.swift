import RPCFuzzing

/// Drives a connection: its books must be right after any events.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  driveConnection([UInt8](UnsafeBufferPointer(start: start, count: count)))
  return 0
}
