import NIOCore
import Schema
import Testing

@testable import RPC

@Suite("Messages that wait for their reader")
struct InboundQueueTests {
  /// A small message that came in with a large read.
  private func message(_ byte: UInt8, readBytes: Int = 16 << 10) -> InboundMessage {
    var read = ByteBufferAllocator().buffer(capacity: readBytes)
    read.writeRepeatingByte(byte, count: 100)
    return InboundMessage(bytes: read.readSlice(length: 10) ?? ByteBuffer(), cost: 74)
  }

  @Test("keep little more memory than they have bytes, however they came in")
  func small() {
    var queue = InboundQueue()
    for read in 0..<1_000 { queue.append(message(UInt8(read % 250)), ofRead: UInt64(read)) }
    var kept = 0
    for read in 0..<1_000 {
      let next = queue.popFirst()
      #expect(next?.bytes == ByteBuffer(repeating: UInt8(read % 250), count: 10))
      kept += next?.bytes.storageCapacity ?? 0
    }
    #expect(kept <= 70_000)
    #expect(queue.isEmpty)
  }

  @Test("don't keep a large read for a small message")
  func large() {
    var queue = InboundQueue()
    queue.append(message(1, readBytes: 1 << 20), ofRead: 1)
    #expect(queue.first?.bytes.storageCapacity ?? .max <= 64)
  }

  @Test("lie where they were read when that is most of it, or in memory anyway")
  func kept() {
    var queue = InboundQueue()
    var read = ByteBuffer(repeating: 3, count: InboundQueue.keptReadBytes)
    let addresses = { (buffer: ByteBuffer) in buffer.withUnsafeReadableBytes { $0.baseAddress } }
    for _ in 0..<40 {
      let bytes = read.readSlice(length: 100) ?? ByteBuffer()
      queue.append(InboundMessage(bytes: bytes, cost: 164), ofRead: 1)
      #expect(queue.popFirst().map { addresses($0.bytes) } == addresses(bytes))
    }
  }

  @Test("a body that comes byte by byte becomes few pieces")
  func crumbs() throws {
    var assembly = MessageAssembly()
    let count = 100_000
    let header = FrameHeader(
      type: .message, flags: .message, stream: 1, messageLength: 0, bodyLength: count)
    let fault = try assembly.add(header, message: ByteBuffer(), limits: PeerSettings())
    #expect(fault == nil)
    for number in 0..<count {
      var read = ByteBufferAllocator().buffer(capacity: 2_048)
      read.writeInteger(UInt8(number % 251))
      assembly.add(body: read)
    }
    let message = assembly.finishFrame(header)
    let body = try #require(message).body
    #expect(body.bytes == (0..<count).map { UInt8($0 % 251) })
    #expect(body.pieces.count <= 2)
  }
}
