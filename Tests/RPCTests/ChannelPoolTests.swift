import Testing

@testable import RPC

@Suite("A pool of channels")
struct ChannelPoolTests {
  private static let timeout = Duration.seconds(100)
  private let pool: ChannelPool
  private let began: Instant

  init() {
    let time = SystemTimeSource()
    var configuration = ConnectionConfiguration()
    configuration.idleTimeout = Self.timeout
    began = time.now
    pool = ChannelPool(
      transport: MemoryTransport(), time: time, random: SystemRandomSource(),
      configuration: configuration)
  }

  /// Looks after the channels as the pool does once an idle timeout.
  private func tend(_ count: Int) -> Instant? {
    pool.tend(began.advanced(by: (Self.timeout + .seconds(1)) * count))
  }

  @Test("forgets those that nobody has and nobody used for the idle timeout")
  func forgets() {
    for number in 0..<10 { _ = pool.channel(to: Address("server \(number)")) }
    #expect(pool.channelCount == 10)
    #expect(pool.tend(began) != nil)
    #expect(tend(1) != nil)
    #expect(pool.channelCount == 10)
    #expect(tend(2) == nil)
    #expect(pool.channelCount == 0)
  }

  @Test("has one channel to an address for as long as somebody has it, and ends it with itself")
  func held() async {
    let channel = pool.channel(to: Address("server")) as? Channel
    let watched = pool.channel(to: Address("watched")).connectivity
    _ = pool.channel(to: Address("other"))
    for count in 1...4 { #expect(tend(count) != nil) }
    #expect(pool.channelCount == 2)
    expect(pool.channel(to: Address("server")) as? Channel === channel)
    pool.shutdown()
    for await _ in watched {}
    let error = await #expect(throws: RPCError.self) {
      _ = try await channel?.connection(until: nil, false)
    }
    #expect(error?.message == "the channel to server is closed")
  }

  @Test("looks only as often as there is something to look at")
  func looks() throws {
    #expect(pool.tend(began) == nil)
    _ = pool.channel(to: Address("server"))
    let first = try #require(pool.tend(began))
    #expect(first >= began.advanced(by: Self.timeout))
    let second = try #require(pool.tend(first))
    #expect(second == first.advanced(by: Self.timeout))
    #expect(pool.tend(second) == nil)
  }

  @Test("forgets no channel that was used meanwhile")
  func used() async throws {
    let server = Address("server")
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await self.pool.run() }
      for count in 1...4 {
        // Nobody listens there: what remains of the call is what the channel knows.
        await #expect(throws: RPCError.self) {
          _ = try await (self.pool.channel(to: server) as? Channel)?.connection(until: nil, false)
        }
        #expect(tend(count) != nil)
        #expect(pool.channelCount == 1)
      }
      pool.shutdown()
      try await group.waitForAll()
    }
  }
}
