import RPC
import Testing

@testable import NodeServer

@Suite("Queue between two tasks")
struct PieceQueueTests {
  @Test("values come out in order, all of them, whatever the capacity", arguments: [1, 2, 100])
  func order(capacity: Int) async {
    let queue = PieceQueue<Int>(capacity: capacity)
    async let taken = Self.drain(queue)
    for value in 0..<500 { await queue.put(value) }
    queue.finish()
    #expect(await taken == Array(0..<500))
  }

  @Test("a giver that waits for room goes on when the queue is closed")
  func closed() async {
    let queue = PieceQueue<Int>(capacity: 1)
    await queue.put(1)
    async let blocked: Void = queue.put(2)
    queue.close()
    await blocked
    #expect(await queue.next() == nil)
  }

  @Test("a taker that is cancelled stops waiting and closes the queue")
  func cancelled() async {
    let queue = PieceQueue<Int>(capacity: 1)
    await withTaskGroup(of: Int?.self) { group in
      group.addTask { await queue.next() }
      group.cancelAll()
      #expect(await group.next() == .some(nil))
    }
    #expect(queue.isClosed)
  }

  private static func drain(_ queue: PieceQueue<Int>) async -> [Int] {
    var values: [Int] = []
    while let value = await queue.next() { values.append(value) }
    return values
  }
}
