import NIOCore
import Testing

@testable import RPCNIO

@Suite("How much of a socket is read at once")
struct ReadSizeTests {
  private let size = ReadSize()

  private var capacity: Int { size.buffer(allocator: ByteBufferAllocator()).capacity }

  @Test("little, as frames are work that others wait for, also after reads that were full")
  func small() {
    for _ in 0..<20 {
      #expect(capacity == ReadSize.small)
      #expect(size.record(actualReadBytes: ReadSize.small))
    }
  }

  @Test("what is left of a body, as much of it as comes at once, and little again behind it")
  func body() {
    size.expect(200_000)
    #expect(capacity == 128 << 10)
    size.expect(1 << 40)
    #expect(capacity == ReadSize.first)
    for _ in 0..<5 { _ = size.record(actualReadBytes: ReadSize.largest) }
    #expect(capacity == ReadSize.largest)
    for _ in 0..<3 { _ = size.record(actualReadBytes: 60_000) }
    #expect(capacity == ReadSize.largest / 8, "reads of 60,000 bytes fill a good part of it")
    size.expect(0)
    #expect(capacity == ReadSize.small)
  }

  @Test("no more because a large buffer was there before")
  func pooled() {
    var pool = NIOPooledRecvBufferAllocator(capacity: 1, recvAllocator: size)
    func read(_ expected: Int) -> Int {
      size.expect(expected)
      let capacity = pool.buffer(allocator: ByteBufferAllocator()) { $0.writableBytes }.1
      pool.record(actualReadBytes: capacity)
      return capacity
    }
    #expect(read(0) == ReadSize.small)
    while read(1 << 40) < ReadSize.largest {}
    #expect(read(5_000) == 8 << 10)
    #expect(read(0) == ReadSize.small)
  }
}
