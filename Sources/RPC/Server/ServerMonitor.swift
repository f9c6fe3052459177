internal import Synchronization

/// What those who look after a server may know of it while it runs: the standard services are made of
/// it.
///
/// Make one, give it to the server, and to the services that ask.
public final class ServerMonitor: Sendable {
  private struct State {
    weak var server: RPCServer?
    var began: Instant?
    var isDraining = false
    var watchers: [Int: AsyncStream<Void>.Continuation] = [:]
    var watcherCount = 0
  }

  private let state = Mutex(State())

  /// Watches no server yet.
  public init() {}

  /// Whether the server takes calls: it runs, and wasn't told to stop.
  public var isServing: Bool {
    state.withLock { $0.began != nil && !$0.isDraining }
  }

  /// Whether the server was told to stop.
  public var isDraining: Bool {
    state.withLock { $0.isDraining }
  }

  /// Returns when the server is told to stop, or when the task is cancelled.
  public func untilDraining() async {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    let number = state.withLock { state in
      state.watcherCount += 1
      if state.isDraining {
        continuation.finish()
      } else {
        state.watchers[state.watcherCount] = continuation
      }
      return state.watcherCount
    }
    for await _ in stream {}
    _ = state.withLock { $0.watchers.removeValue(forKey: number) }
  }

  /// What the server's connections are at, in the order in which they came in, as far as `limits` go: of a
  /// server with very many calls no more is gathered than is asked for.
  public func report(within limits: ServerReport.Limits = ServerReport.Limits()) -> ServerReport {
    let (server, isDraining) = state.withLock { ($0.server, $0.isDraining) }
    guard let server else { return ServerReport(age: .zero, isDraining: isDraining) }
    let now = server.time.now
    let began = state.withLock { $0.began } ?? now
    let connections = server.connections
    var left = limits
    return ServerReport(
      age: began.duration(to: now), isDraining: isDraining,
      connections: connections.prefix(limits.connections).map {
        $0.report(now: now, within: &left)
      }, connectionCount: connections.count)
  }

  /// The server runs.
  func begins(_ server: RPCServer) {
    let now = server.time.now
    state.withLock { state in
      state.server = server
      state.began = now
    }
  }

  /// The server takes no more calls.
  func drains() {
    let watchers = state.withLock { state in
      state.isDraining = true
      defer { state.watchers = [:] }
      return state.watchers.sorted { $0.key < $1.key }.map(\.value)
    }
    for watcher in watchers { watcher.finish() }
  }
}
