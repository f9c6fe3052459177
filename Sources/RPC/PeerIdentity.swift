/// Who the other side of a connection has proved to be, such as by a TLS certificate that was verified.
public struct PeerIdentity: Sendable, Hashable {
  /// The names that the certificate was issued for: DNS names, then URIs.
  public var names: [String]
  /// The certificate, in DER.
  public var certificate: [UInt8]

  /// An identity; the transport that verified it makes it.
  public init(names: [String], certificate: [UInt8]) {
    self.names = names
    self.certificate = certificate
  }
}
