public import RPC
public import StoreModel

// A failure of the store on its way through a call: its code becomes the call's status and is found
// again on the other side.

extension RPCError {
  /// The call's end that tells the caller of a failure of the store.
  public init(_ error: StoreError) {
    self.init(StatusCode(error.code), error.message, cause: error)
    if error.code == .deleted { self = with(StoreError.deletedInfo) }
  }
}

extension StatusCode {
  /// The status for a failure of the store.
  public init(_ code: StoreError.Code) {
    self =
      switch code {
      case .invalidArgument: .invalidArgument
      case .notFound, .deleted: .notFound
      case .alreadyExists: .alreadyExists
      case .preconditionFailed: .failedPrecondition
      case .dataLoss: .dataLoss
      case .resourceExhausted: .resourceExhausted
      case .unavailable: .unavailable
      case .aborted: .aborted
      case .internal: .internal
      }
  }
}

extension StoreError {
  /// What a failed call means to the store.
  public init(_ error: RPCError) {
    let isDeleted = error.details(of: Google_Rpc_ErrorInfo.self).contains(StoreError.deletedInfo)
    self.init(isDeleted ? .deleted : Code(error.code), error.message)
  }

  /// The detail that tells NOT_FOUND of what was deleted from NOT_FOUND of what never was.
  static let deletedInfo = Google_Rpc_ErrorInfo(reason: "DELETED", domain: "holdfast")
}

extension StoreError.Code {
  /// What a call's status means to the store: a call that ran out of time or was cut off may be made
  /// again later, one that the server doesn't know or allow can't.
  public init(_ status: StatusCode) {
    self =
      switch status {
      case .invalidArgument, .outOfRange: .invalidArgument
      case .notFound: .notFound
      case .alreadyExists: .alreadyExists
      case .failedPrecondition, .permissionDenied, .unauthenticated: .preconditionFailed
      case .dataLoss: .dataLoss
      case .resourceExhausted: .resourceExhausted
      case .unavailable, .deadlineExceeded, .cancelled: .unavailable
      case .aborted: .aborted
      case .internal, .unknown, .unimplemented, .ok: .internal
      }
  }
}
