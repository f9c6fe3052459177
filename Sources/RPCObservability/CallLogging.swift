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
    try await logged(call.path, [:], StatusCode.init(of:)) { try await next(call) }
  }

  /// Serves the call and logs it.
  public func intercept(
    _ context: CallContext, _ next: @Sendable () async throws -> Void
  ) async throws {
    try await logged(
      context.path, ["peer": "\(context.peer)"], { StatusCode(of: $0, in: context) }, next)
  }

  private func logged<Result>(
    _ path: String, _ metadata: Logger.Metadata, _ status: ((any Error)?) -> StatusCode,
    _ body: () async throws -> Result
  ) async throws -> Result {
    let began = time.now
    func log(_ error: (any Error)?) {
      let status = status(error)
      var all = metadata
      all["status"] = "\(status)"
      all["took"] = "\(began.duration(to: time.now))"
      if let error { all["error"] = "\((error as? RPCError)?.message ?? "\(error)")" }
      logger.log(
        level: status == .ok ? level : max(level, .notice), "\(path)", metadata: all)
    }
    do {
      let result = try await body()
      log(nil)
      return result
    } catch {
      log(error)
      throw error
    }
  }
}

extension StatusCode {
  /// The status that an error ends a call with; nil: success.
  init(of error: (any Error)?) {
    self =
      switch error {
      case nil: .ok
      case let error as RPCError: error.code
      case is CancellationError: .cancelled
      default: .unknown
      }
  }

  /// The status that the caller sees of a call whose handler ended with an error (nil: success). One whose
  /// deadline has passed is cancelled, and what it makes of that isn't heard.
  init(of error: (any Error)?, in context: CallContext) {
    self = context.hasMissedDeadline ? .deadlineExceeded : StatusCode(of: error)
  }
}
