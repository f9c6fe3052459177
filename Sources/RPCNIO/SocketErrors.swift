internal import NIOCore
internal import NIOPosix
internal import RPC

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// What the system's errors mean to those who call.
enum SocketErrors {
  /// Why a connection to `endpoint` could not be made.
  static func connecting(to endpoint: Endpoint, _ error: any Error) -> RPCError {
    if let error = error as? RPCError { return error }
    return RPCError(
      .unavailable, "can't connect to \(endpoint): \(reason(error))", cause: error)
  }

  /// Why nothing listens on `endpoint`.
  static func listening(on endpoint: Endpoint, _ error: any Error) -> RPCError {
    switch (error as? IOError)?.errnoCode {
    case EADDRINUSE?:
      RPCError(.unavailable, "can't listen on \(endpoint): the port is in use", cause: error)
    case EACCES?:
      RPCError(
        .permissionDenied, "can't listen on \(endpoint): the port needs more rights", cause: error)
    case EADDRNOTAVAIL?:
      RPCError(
        .invalidArgument, "can't listen on \(endpoint): not an address of this machine",
        cause: error)
    case nil where error is SocketAddressError:
      RPCError(.invalidArgument, "can't listen on \(endpoint): unknown host", cause: error)
    default:
      RPCError(.unavailable, "can't listen on \(endpoint): \(reason(error))", cause: error)
    }
  }

  /// Why what listened at `address` does so no more.
  static func accepting(at address: Address, _ error: (any Error)?) -> RPCError {
    let reason = error.map(reason) ?? "its socket was closed"
    return RPCError(
      .unavailable, "can't accept connections any more at \(address): \(reason)", cause: error)
  }

  /// Why a connection to `peer` broke.
  static func connection(to peer: String, _ error: any Error) -> RPCError {
    RPCError(.unavailable, "the connection to \(peer) broke: \(reason(error))", cause: error)
  }

  private static func reason(_ error: any Error) -> String {
    if let failure = error as? NIOConnectionError {
      if let first = failure.connectionErrors.first { return reason(first.error) }
      return "unknown host"
    }
    if case ChannelError.connectTimeout? = error as? ChannelError { return "it doesn't answer" }
    if error is SocketAddressError { return "unknown host" }
    guard let error = error as? IOError else { return "\(error)" }
    return switch error.errnoCode {
    case ECONNREFUSED: "nobody listens there"
    case ECONNRESET, EPIPE: "the peer closed it"
    case ETIMEDOUT: "it doesn't answer"
    case ENOENT: "there is no such socket"
    case EACCES, EPERM: "the socket's file doesn't let this user in"
    case EHOSTUNREACH, ENETUNREACH: "there is no way to that host"
    case EMFILE, ENFILE: "too many open files"
    default: String(cString: strerror(error.errnoCode))
    }
  }
}
