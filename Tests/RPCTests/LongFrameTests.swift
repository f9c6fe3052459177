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

  /// A server's connection to a peer that has said hello.
  private func connection(_ time: StoppedTime, _ bytes: StalledBytes = StalledBytes()) -> Connection
  {
    let connection = Connection(
      role: .server, bytes: bytes, peer: "slow", configuration: ConnectionConfiguration(),
      time: time)
    _ = connection.received(PeerSettings().preface)
    _ = connection.received(Frames.frame(.call, 1, meta: Frames.opening("/a.B/C")))
    return connection
  }

  /// Whether the connection is still there after that time.
  private func lives(_ connection: Connection, after seconds: UInt64, _ time: StoppedTime) -> Bool {
    time.pass(seconds)
    _ = connection.ring(time.now)
    return connection.closingError == nil
  }

  @Test("each frame has its time: one that begins in the read that ends another doesn't inherit it")
  func watch() throws {
    for split in [10, 50] {
      let time = StoppedTime()
      let connection = connection(time)
      let frame = Frames.frame(.message, 1, .message, message: [UInt8](repeating: 0, count: 100))
      let first = try #require(frame.getSlice(at: 0, length: split))
      var rest = try #require(frame.getSlice(at: split, length: frame.readableBytes - split))
      rest.writeImmutableBuffer(first)
      _ = connection.received(first)
      for _ in 0..<5 {
        expect(lives(connection, after: 20, time))
        _ = connection.received(rest)
      }
      // The same one, bit by bit, has no more time for that.
      expect(lives(connection, after: 20, time))
      _ = connection.received(try #require(frame.getSlice(at: split, length: 30)))
      expect(!lives(connection, after: 10, time))
    }
  }

  /// The header of an MSG frame with a body of 1 MiB.
  private let large = Frames.header(payload: 1 << 20, type: 3, flags: FrameFlags.message.rawValue)

  @Test("a frame that goes on comes through, however long it takes")
  func steady() {
    let time = StoppedTime()
    let connection = connection(time)
    _ = connection.received(large)
    let second = ByteBuffer(repeating: 7, count: 10_000)
    for number in 0..<100 {
      expect(lives(connection, after: 1, time), "after \(number) s")
      _ = connection.received(second)
    }
    expect(!lives(connection, after: 30, time), "it has stopped")
  }

  @Test("a frame of which a byte comes now and then doesn't go on")
  func trickle() {
    let time = StoppedTime()
    let connection = connection(time)
    _ = connection.received(large)
    expect(lives(connection, after: 29, time))
    _ = connection.received(ByteBuffer(repeating: 7, count: 1))
    expect(!lives(connection, after: 1, time))
  }

  @Test("a frame isn't late for the time in which nothing is read")
  func heldBack() throws {
    let time = StoppedTime()
    let bytes = StalledBytes()
    let connection = connection(time, bytes)
    connection.writabilityChanged(false)
    // So many answers that nothing more is read, before the frame behind the calls is whole.
    var read = ByteBuffer()
    for number in 1...6_000 {
      read.writeImmutableBuffer(
        Frames.frame(.call, UInt32(2 * number + 1), meta: Frames.opening("/a.B/C")))
    }
    read.writeImmutableBuffer(large)
    _ = connection.received(read)
    try #require(!bytes.isReading)
    expect(lives(connection, after: 40, time))
    connection.writabilityChanged(true)
    try #require(bytes.isReading)
    let alarm = connection.ring(time.now)
    #expect(alarm.map { $0 <= time.now.advanced(by: .seconds(30)) } == true)
    expect(lives(connection, after: 29, time))
    expect(!lives(connection, after: 1, time), "it is read again")
  }

  @Test("a frame has what it had left of its time when it is read again")
  func rests() {
    func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
    var watch = FrameWatch()
    watch.received(10, behind: 1, now: at(0))
    watch.rest(now: at(20))
    watch.received(10, behind: 1, now: at(25))
    watch.rest(now: at(30))
    #expect(watch.due == nil && !watch.isLate(now: at(99)))
    watch.goOn(now: at(100))
    #expect(watch.due == at(110))
    #expect(!watch.isLate(now: at(109)) && watch.isLate(now: at(110)))
    watch.received(FrameWatch.stepBytes, behind: 1, now: at(109))
    #expect(watch.due == at(139))
    watch.received(1, behind: nil, now: at(120))
    #expect(watch.due == nil)
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
