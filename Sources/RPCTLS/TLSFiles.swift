internal import NIOSSL
internal import RPC

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The files that secure connections, all in PEM: who this side is and whom it trusts.
///
/// With a certificate and its key a server serves TLS and nothing else; with `authorities` as well it
/// serves only clients that have a certificate from one of them. A client with `authorities` connects by
/// TLS alone, to servers whose certificate is from one of them and names the host that was asked for, and
/// shows its own certificate when it has one.
public struct TLSFiles: Sendable, Hashable {
  /// This side's certificate, followed by those that lead to its authority.
  public var certificate: String?
  /// The certificate's key.
  public var key: String?
  /// The certificates of the authorities that are trusted; no others are.
  public var authorities: String?

  /// Names the files; they are read when a transport is made.
  public init(certificate: String? = nil, key: String? = nil, authorities: String? = nil) {
    self.certificate = certificate
    self.key = key
    self.authorities = authorities
  }

  /// This side's certificates, its own first.
  func readChain() throws(RPCError) -> [NIOSSLCertificateSource] {
    guard let certificate else { return [] }
    return try Self.certificates(certificate).map { .certificate($0) }
  }

  /// This side's key.
  func readKey() throws(RPCError) -> NIOSSLPrivateKeySource? {
    guard let key else { return nil }
    try Self.check(key)
    guard let read = try? NIOSSLPrivateKey(file: key, format: .pem) else {
      throw RPCError(.invalidArgument, "\(key) holds no private key in PEM without a passphrase")
    }
    return .privateKey(read)
  }

  /// The authorities' certificates.
  func readAuthorities() throws(RPCError) -> [NIOSSLCertificate]? {
    guard let authorities else { return nil }
    return try Self.certificates(authorities)
  }

  private static func certificates(_ path: String) throws(RPCError) -> [NIOSSLCertificate] {
    try check(path)
    guard let read = try? NIOSSLCertificate.fromPEMFile(path), !read.isEmpty else {
      throw RPCError(.invalidArgument, "\(path) holds no certificate in PEM")
    }
    return read
  }

  /// Sees whether the file can be read, for a message that names it.
  private static func check(_ path: String) throws(RPCError) {
    guard access(path, R_OK) != 0 else { return }
    let code = errno
    throw RPCError(
      code == ENOENT || code == ENOTDIR ? .notFound : .permissionDenied,
      "can't read \(path): \(String(cString: strerror(code)))")
  }
}
