public import CoreMetrics
public import RPC

/// Counts and times each call: `rpc.client.calls`, `rpc.client.duration` and `rpc.client.active`, and the
/// same with `server`, with the dimensions `method` and, but for the last, `status`.
///
/// Stands on either side. Methods' names come from this side's schemas alone, so that no peer can make
/// the number of metrics grow.
public struct CallMetrics: ClientInterceptor, ServerInterceptor {
  private let time: any TimeSource
  private let factory: any MetricsFactory

  /// Reports to `factory`, by default the metrics system of the process.
  public init(time: any TimeSource, factory: any MetricsFactory = MetricsSystem.factory) {
    self.time = time
    self.factory = factory
  }

  /// Makes the call and measures it.
  public func intercept<Result: Sendable>(
    _ call: ClientCall, _ next: @Sendable (ClientCall) async throws -> Result
  ) async throws -> Result {
    try await measured("rpc.client", call.path, StatusCode.init(of:)) { try await next(call) }
  }

  /// Serves the call and measures it.
  public func intercept(
    _ context: CallContext, _ next: @Sendable () async throws -> Void
  ) async throws {
    try await measured("rpc.server", context.path, { StatusCode(of: $0, in: context) }, next)
  }

  private func measured<Result>(
    _ label: String, _ path: String, _ status: ((any Error)?) -> StatusCode,
    _ body: () async throws -> Result
  ) async throws -> Result {
    let began = time.now
    let active = Meter(label: "\(label).active", dimensions: [("method", path)], factory: factory)
    active.increment()
    defer { active.decrement() }
    func report(_ status: StatusCode) {
      let dimensions = [("method", path), ("status", "\(status)")]
      Counter(label: "\(label).calls", dimensions: dimensions, factory: factory).increment()
      let parts = began.duration(to: time.now).components
      Timer(label: "\(label).duration", dimensions: dimensions, factory: factory).recordNanoseconds(
        parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
    }
    do {
      let result = try await body()
      report(status(nil))
      return result
    } catch {
      report(status(error))
      throw error
    }
  }
}
