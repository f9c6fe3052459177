import NIOCore

/// A file's bytes in buffers, with something that happens before one of them is handed out.
struct ScriptedSource: AsyncSequence, Sendable {
  typealias Element = ByteBuffer

  /// All of the file.
  let bytes: [UInt8]
  /// Bytes of each buffer but the last.
  let bufferBytes: Int
  /// Called with each buffer's number before it is handed out.
  let script: @Sendable (Int) async -> Void

  struct AsyncIterator: AsyncIteratorProtocol {
    let source: ScriptedSource
    var next = 0

    mutating func next() async -> ByteBuffer? {
      let start = next * source.bufferBytes
      guard start < source.bytes.count else { return nil }
      await source.script(next)
      next += 1
      let end = Swift.min(start + source.bufferBytes, source.bytes.count)
      return ByteBuffer(bytes: source.bytes[start..<end])
    }
  }

  func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(source: self)
  }
}
