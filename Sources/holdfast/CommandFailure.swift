import ArgumentParser
import RPC
import StoreModel

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// How the process ends: the codes of `sysexits.h` that scripts can act on.
enum ExitStatus: Int32, Sendable, CaseIterable {
  case done = 0
  case other = 1
  case usage = 64
  case dataCorrupt = 65
  case noInput = 66
  /// The store can't be reached, lacks nodes, or a disk is full: somebody has to do something first.
  case unavailable = 69
  case cannotCreate = 73
  /// The same command may do it at once; what a full disk refuses isn't that.
  case tryAgain = 75
  case notAllowed = 77

  /// How bad it is, for a command that does many things: the worst decides its code.
  private var weight: Int {
    switch self {
    case .done: 0
    case .noInput: 1
    case .cannotCreate: 2
    case .tryAgain: 3
    case .usage: 4
    case .notAllowed: 5
    case .unavailable: 6
    case .other: 7
    case .dataCorrupt: 8
    }
  }

  /// The worse of two.
  static func worse(_ a: ExitStatus, _ b: ExitStatus) -> ExitStatus {
    a.weight >= b.weight ? a : b
  }
}

/// Why a command did not do what it was asked: what to say, and the exit code.
struct CommandFailure: Error, Sendable, Equatable {
  var status: ExitStatus
  /// For people; empty when everything was said before.
  var message: String

  /// Makes a failure.
  init(_ status: ExitStatus, _ message: String) {
    self.status = status
    self.message = message
  }

  /// The failure behind an error that came from below; nil for the argument parser's own.
  init?(describing error: any Error) {
    switch error {
    case let failure as CommandFailure:
      self = failure
    case let error as StoreError:
      self.init(ExitStatus(error.code), error.message)
    case let error as RPCError:
      let message =
        error.message.isEmpty ? "the other side says '\(error.code)' and no more" : error.message
      self.init(ExitStatus(error.code), message)
    case is CancellationError:
      self.init(.tryAgain, "interrupted")
    default:
      return nil
    }
  }

  /// The failure behind any error.
  static func describing(_ error: any Error) -> CommandFailure {
    CommandFailure(describing: error) ?? CommandFailure(.other, "\(error)")
  }

  /// A system call failed with `code` on `path`.
  static func system(_ code: Int32, _ what: String) -> CommandFailure {
    let reason = String(cString: strerror(code))
    let status: ExitStatus =
      switch code {
      case ENOENT: .noInput
      case EACCES, EPERM, EROFS: .notAllowed
      case EEXIST, EISDIR, ENOTDIR, ENAMETOOLONG, ENOTEMPTY: .cannotCreate
      case ENOSPC, EDQUOT: .unavailable
      case EAGAIN, EMFILE, ENFILE, ENOMEM: .tryAgain
      default: .other
      }
    return CommandFailure(status, "\(what): \(reason)")
  }

  /// The same with a word before the message that says what it is about.
  func about(_ subject: String) -> CommandFailure {
    CommandFailure(status, "\(subject): \(message)")
  }
}

extension ExitStatus {
  /// The exit code of a store's error.
  init(_ code: StoreError.Code) {
    switch code {
    case .invalidArgument: self = .usage
    case .notFound, .deleted: self = .noInput
    case .alreadyExists, .preconditionFailed: self = .cannotCreate
    case .dataLoss: self = .dataCorrupt
    case .aborted: self = .tryAgain
    case .unavailable, .resourceExhausted: self = .unavailable
    case .internal: self = .other
    }
  }

  /// The exit code of a call's status.
  init(_ code: StatusCode) {
    switch code {
    case .ok: self = .done
    case .invalidArgument, .outOfRange: self = .usage
    case .notFound: self = .noInput
    case .alreadyExists, .failedPrecondition: self = .cannotCreate
    case .dataLoss: self = .dataCorrupt
    case .aborted: self = .tryAgain
    case .unavailable, .deadlineExceeded, .resourceExhausted: self = .unavailable
    case .permissionDenied, .unauthenticated: self = .notAllowed
    case .cancelled, .unknown, .unimplemented, .internal: self = .other
    }
  }
}
