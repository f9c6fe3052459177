/// What a peer may make the decoder do.
public struct DecodingLimits: Sendable, Hashable {
  /// The longest message accepted, in bytes without its body.
  public var bytes: Int
  /// How deep messages may be nested; the outermost is at depth 1. At most 100: libprotobuf-c takes
  /// about 1 KB of stack a level, and a task has 512 KiB.
  public var depth: Int {
    didSet { depth = min(max(depth, 1), Self.greatestDepth) }
  }
  /// The most memory that the C structs of one message may take, in bytes. An empty sub-message
  /// is 2 bytes on the wire and hundreds in memory: this is what bounds that.
  public var memory: Int

  /// The deepest nesting that can be allowed.
  public static let greatestDepth = 100

  /// 16 MiB, depth 100, 64 MiB of memory.
  public static let standard = DecodingLimits()

  /// Limits: `bytes` and `memory` in bytes, `depth` clamped to 1...100.
  public init(bytes: Int = 16 << 20, depth: Int = Self.greatestDepth, memory: Int = 64 << 20) {
    self.bytes = bytes
    self.depth = min(max(depth, 1), Self.greatestDepth)
    self.memory = memory
  }
}
