internal import DequeModule
internal import NIOCore

/// The messages of a call that nobody has taken.
///
/// A message part lies where it was read, and keeps all of that read in memory. So that few small messages
/// don't keep much, they are copied when what would be kept is large beside them.
struct InboundQueue {
  /// A message, and what it keeps in memory that those before it don't.
  private struct Waiting {
    var message: InboundMessage
    var keeps: Int
  }

  private var messages: Deque<Waiting> = []
  /// Bytes of their message parts, and of the reads that they keep.
  private var bytes = 0
  private var keptBytes = 0
  /// The last read of which something is kept.
  private var keptRead: UInt64?
  /// Whether any message ever came in.
  private(set) var hadMessages = false

  /// Reads up to this size are kept by a queue that keeps nothing else: those that a socket does where no body
  /// comes in.
  static let keptReadBytes = 4 << 10
  /// How many bytes may be kept for one of a message.
  static let keptShare = 4

  /// How many wait.
  var count: Int { messages.count }
  /// Whether none does.
  var isEmpty: Bool { messages.isEmpty }
  /// The first; it stays.
  var first: InboundMessage? { messages.first?.message }

  /// Adds a message that came in with the read of that number.
  mutating func append(_ message: InboundMessage, ofRead read: UInt64) {
    let size = message.bytes.readableBytes
    bytes += size
    hadMessages = true
    guard keptRead != read else {
      messages.append(Waiting(message: message, keeps: 0))
      return
    }
    let capacity = message.bytes.storageCapacity
    if keptBytes + capacity <= max(Self.keptReadBytes, bytes * Self.keptShare) {
      keptRead = read
      keptBytes += capacity
      messages.append(Waiting(message: message, keeps: capacity))
    } else {
      var copy = message
      copy.bytes = message.bytes.copied
      messages.append(Waiting(message: copy, keeps: 0))
    }
  }

  /// Takes the first.
  mutating func popFirst() -> InboundMessage? {
    guard let first = messages.popFirst() else { return nil }
    bytes -= first.message.bytes.readableBytes
    keptBytes -= first.keeps
    if messages.isEmpty { keptRead = nil }
    return first.message
  }
}
