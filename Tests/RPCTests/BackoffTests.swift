import Testing

@testable import RPC

@Suite("The wait before another attempt to connect")
struct BackoffTests {
  private static func configuration() -> ConnectionConfiguration {
    var configuration = ConnectionConfiguration()
    configuration.firstBackoff = .milliseconds(100)
    configuration.longestBackoff = .seconds(1)
    return configuration
  }

  @Test("doubles with each failure up to the longest")
  func growth() {
    let configuration = Self.configuration()
    let waits = (1...6).map { configuration.backoff(after: $0, jitter: 1) }
    #expect(waits == [100, 200, 400, 800, 1_000, 1_000].map { .milliseconds($0) })
    #expect(configuration.backoff(after: .max, jitter: 1) == .seconds(1))
  }

  @Test("is a random part of that, and no less than half", arguments: [1, 3, 100])
  func jitter(failures: Int) {
    let configuration = Self.configuration()
    let whole = configuration.backoff(after: failures, jitter: 1)
    #expect(configuration.backoff(after: failures, jitter: 0) == whole / 2)
    #expect(configuration.backoff(after: failures, jitter: 0.5) == whole * 0.75)
  }
}
