public import Logging
public import RPC

/// Logs each call when it is over: method, peer, status and time taken; failures one level higher.
///
/// Stands on either side.
public struct CallLogging: ClientInterceptor, ServerInterceptor {
  private let logger: Logger
  private let level: Logger.Level
  private let time: any TimeSource

  /// Logs to `logger`, successes at `level` and failures at `notice` if that is higher.
  public init(_ logger: Logger, level: Logger.Level = .debug, time: any TimeSource) {
    self.logger = logger
    self.level = level
    self.time = time
  }

  /// Makes the call and logs it.
  public func intercept<Result: Sendable>(
    _ call: ClientCall, _ next: @Sendable (ClientCall) async throws -> Result
  ) async throws -> Result {
    try await logged(call.path, [:]) { try await next(call) }
  }

  /// Serves the call and logs it.
  public func intercept(
    _ context: CallContext, _ next: @Sendable () async throws -> Void
  ) async throws {
    try await logged(context.path, ["peer": "\(context.peer)"], next)
  }

  private func logged<Result>(
    _ path: String, _ metadata: Logger.Metadata, _ body: () async throws -> Result
  ) async throws -> Result {
    let began = time.now
    func log(_ level: Logger.Level, _ status: StatusCode, _ more: Logger.Metadata) {
      var all = metadata.merging(more) { $1 }
      all["status"] = "\(status)"
      all["took"] = "\(began.duration(to: time.now))"
      logger.log(level: level, "\(path)", metadata: all)
    }
    do {
      let result = try await body()
      log(level, .ok, [:])
      return result
    } catch {
      let text = (error as? RPCError)?.message ?? "\(error)"
      log(max(level, .notice), StatusCode(of: error), ["error": "\(text)"])
      throw error
    }
  }
}

extension StatusCode {
  /// The status that an error ends a call with.
  init(of error: any Error) {
    self = (error as? RPCError)?.code ?? (error is CancellationError ? .cancelled : .unknown)
  }
}
