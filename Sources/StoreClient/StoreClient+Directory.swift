import RPC
import StoreModel
import StoreProtocol

extension StoreClient {
  /// Makes a call to the Directory, again and again while it is away, as every call of its is idempotent.
  ///
  /// A Directory that answered before is waited for longer than one that never did, so that uploads
  /// outlive its restart and a wrong address is told at once.
  ///
  /// - Parameters:
  ///   - patience: how long to go on; nil: as configured.
  ///   - call: makes the call once.
  /// - Returns: the Directory's answer.
  /// - Throws: `StoreError`; `RPCError` when the caller is refused; `CancellationError`.
  func callDirectory<Response: Sendable>(
    patience: Duration? = nil,
    _ call: @Sendable (DirectoryClient, CallOptions) async throws -> Response
  ) async throws -> Response {
    let began = time.now
    var retry = RetryState(
      deadline: .init(nanoseconds: .max), firstDelay: configuration.retryDelay,
      maxDelay: configuration.maxRetryDelay)
    while true {
      do {
        let response = try await call(
          directory, CallOptions(timeout: configuration.directoryTimeout))
        noteDirectoryAnswered()
        return response
      } catch let error as RPCError {
        try Task.checkCancellation()
        guard error.mayBeAnsweredLater else { throw translate(error) }
        let limit =
          hasContactedDirectory
          ? patience ?? configuration.directoryPatience : configuration.firstContactPatience
        let deadline = began.advanced(by: limit)
        switch retry.failed(now: time.now, random: random.next(), pushback: error.pushback) {
        case .retry(let moment) where moment <= deadline:
          try await time.sleep(until: moment)
        case .retry, .giveUp:
          throw translate(error)
        }
      }
    }
  }

  /// What the Directory's refusal means to the client's caller.
  private func translate(_ error: RPCError) -> any Error {
    StoreError.translating(error, from: "the Directory at \(directoryAddress)")
  }
}

extension RPCError {
  /// Whether an idempotent call that failed this way may succeed a moment later.
  var mayBeAnsweredLater: Bool {
    switch code {
    case .unavailable, .deadlineExceeded, .aborted, .cancelled: true
    default: false
    }
  }
}

extension StoreError {
  /// The store's word for a status: the same error where there is none, such as a refused caller.
  static func translating(_ error: RPCError, from server: String) -> any Error {
    let code: StoreError.Code
    switch error.code {
    case .notFound: return StoreError(.notFound, error.message)
    case .alreadyExists: return StoreError(.alreadyExists, error.message)
    case .failedPrecondition: return StoreError(.preconditionFailed, error.message)
    case .invalidArgument, .outOfRange: return StoreError(.invalidArgument, error.message)
    case .permissionDenied, .unauthenticated: return error
    case .dataLoss: code = .dataLoss
    case .resourceExhausted: code = .resourceExhausted
    case .aborted: code = .aborted
    case .unavailable, .deadlineExceeded, .cancelled: code = .unavailable
    case .ok, .unknown, .unimplemented, .internal: code = .internal
    }
    return StoreError(code, "\(server): \(error.message)")
  }
}
