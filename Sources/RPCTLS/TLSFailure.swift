internal import NIOSSL
internal import RPC

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Why a connection could not be secured, or broke, in words that say what to do.
enum TLSFailure: Equatable {
  /// The other side sent something else than TLS.
  case notTLS
  /// The other side's certificate is over.
  case expired
  /// The other side's certificate isn't valid yet.
  case notYetValid
  /// No trusted authority has issued the other side's certificate.
  case untrusted
  /// The certificate is for another host.
  case otherHost
  /// The other side had to show a certificate and has none.
  case noCertificate
  /// The other side doesn't accept this side's certificate.
  case refused
  /// The other side wants a certificate.
  case certificateWanted
  /// The connection ended in the middle.
  case cut
  /// Anything else.
  case other(String)

  /// What `error` means; nil when it isn't one of TLS.
  init?(_ error: any Error, certificate: NIOSSLCertificate?) {
    switch error {
    case let error as NIOSSLExtraError where error == .failedToValidateHostname:
      self = .otherHost
    case NIOSSLError.uncleanShutdown:
      self = .cut
    case NIOSSLError.handshakeFailed(.sslError(let stack)):
      self.init(stack, certificate: certificate)
    case BoringSSLError.sslError(let stack):
      self.init(stack, certificate: certificate)
    case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
      // A peer that ends the connection in the middle of a handshake shows here as the end of input.
      self = "\(error)".contains("EOF") ? .cut : .other("\(error)")
    default: return nil
    }
  }

  private init(_ stack: NIOBoringSSLErrorStack, certificate: NIOSSLCertificate?) {
    let text = stack.map(\.description).joined(separator: "; ")
    func has(_ names: String...) -> Bool { names.contains { text.contains($0) } }
    if has("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "RECORD_TOO_LARGE") {
      self = .notTLS
    } else if has("CERTIFICATE_VERIFY_FAILED") {
      self = Self.unverified(certificate)
    } else if has("PEER_DID_NOT_RETURN_A_CERTIFICATE") {
      self = .noCertificate
    } else if has("ALERT_CERTIFICATE_REQUIRED") {
      self = .certificateWanted
    } else if has("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE") {
      self = .refused
    } else if has("EOF during handshake") {
      self = .cut
    } else {
      self = .other(text)
    }
  }

  private static func unverified(_ certificate: NIOSSLCertificate?) -> TLSFailure {
    guard let certificate else { return .untrusted }
    let now = time(nil)
    if certificate.notValidAfter < now { return .expired }
    return certificate.notValidBefore > now ? .notYetValid : .untrusted
  }

  /// The call's error.
  func error(peer: String, cause: any Error) -> RPCError {
    let code: StatusCode =
      switch self {
      case .cut, .other: .unavailable
      default: .unauthenticated
      }
    return RPCError(code, "no secure connection with \(peer): \(reason)", cause: cause)
  }

  private var reason: String {
    switch self {
    case .notTLS: "it doesn't speak TLS; without --tls-ca it is called plainly"
    case .expired: "its certificate has expired"
    case .notYetValid: "its certificate isn't valid yet; compare the clocks"
    case .untrusted: "its certificate isn't from an authority that --tls-ca names"
    case .otherHost: "its certificate is for another host"
    case .noCertificate: "it showed no certificate"
    case .refused: "it doesn't accept the certificate that --tls-cert names"
    case .certificateWanted: "it wants a certificate: --tls-cert and --tls-key"
    case .cut: "it ended the connection"
    case .other(let text): text
    }
  }
}
