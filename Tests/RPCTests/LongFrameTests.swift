import NIOCore
import Synchronization
import Testing

@testable import RPC

@Suite("What a peer says of itself and how long it takes")
struct LongFrameTests {
  /// A clock that stands where it is put.
  private final class StoppedTime: TimeSource {
    private let nanoseconds = Mutex<UInt64>(1)
    var now: Instant { Instant(nanoseconds: nanoseconds.withLock { $0 }) }
    func pass(_ seconds: UInt64) { nanoseconds.withLock { $0 += seconds * 1_000_000_000 } }
    let wallClockMicroseconds: Int64 = 0
    func sleep(until deadline: Instant) async throws {}
  }

  @Test("each frame has its time: one that begins in the read that ends another doesn't inherit it")
  func watch() throws {
    let time = StoppedTime()
    let connection = Connection(
      role: .server, bytes: StalledBytes(), peer: "slow", configuration: ConnectionConfiguration(),
      time: time)
    _ = connection.received(PeerSettings().preface)
    _ = connection.received(Frames.frame(.call, 1, meta: Frames.opening("/a.B/C")))
    let frame = Frames.frame(.message, 1, .message, message: [UInt8](repeating: 0, count: 100))
    let first = try #require(frame.getSlice(at: 0, length: 50))
    var rest = try #require(frame.getSlice(at: 50, length: frame.readableBytes - 50))
    rest.writeImmutableBuffer(first)
    _ = connection.received(first)
    for _ in 0..<5 {
      time.pass(20)
      _ = connection.received(rest)
      #expect(connection.state.withLock { $0.frameBegan } == time.now)
    }
    // The same one, bit by bit, has no more time for that.
    let began = time.now
    time.pass(20)
    _ = connection.received(try #require(frame.getSlice(at: 50, length: 10)))
    #expect(connection.state.withLock { $0.frameBegan } == began)
  }

  @Test("no setting makes a frame whose header can't say how long its meta is")
  func meta() throws {
    var settings = PeerSettings()
    settings.maxMeta = 1 << 40
    var preface = settings.preface
    #expect(try PeerSettings.read(from: &preface)?.maxMeta == 65_535)
    let combining = String(repeating: "a" + String(repeating: "\u{301}", count: 10), count: 4_096)
    let ending = CallEnding(
      RPCError(.unknown, combining), trailing: Metadata(), maxMeta: 65_535)
    var bytes = ByteBuffer()
    ending.encode(into: &bytes)
    #expect(bytes.readableBytes <= 65_535)
  }
}
