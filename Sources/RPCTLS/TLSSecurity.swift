public import NIOCore
internal import NIOSSL
public import RPC
public import RPCNIO

extension NIOTransport {
  /// A transport whose TCP connections are secured by TLS 1.2 or newer, on the loops of `group`, which
  /// must outlive it; by default those that the process shares. The files are read now.
  ///
  /// - Throws: `RPCError` that names the file that is missing or wrong.
  public init(tls files: TLSFiles, group: (any EventLoopGroup)? = nil) throws(RPCError) {
    let security = try TLSSecurity(files)
    if let group {
      self.init(group: group, security: security)
    } else {
      self.init(security: security)
    }
  }
}

/// TLS by BoringSSL, as SwiftNIO packs it.
struct TLSSecurity: SocketSecurity {
  /// How long the peer may take to agree that a connection ends.
  private static let shutdownPatience = TimeAmount.seconds(1)

  private let server: NIOSSLContext?
  private let client: NIOSSLContext?

  var securesServers: Bool { server != nil }
  var securesClients: Bool { client != nil }

  /// Reads the files.
  ///
  /// - Throws: `RPCError` that names the file that is missing or wrong.
  init(_ files: TLSFiles) throws(RPCError) {
    guard (files.certificate == nil) == (files.key == nil) else {
      throw RPCError(.invalidArgument, "a TLS certificate and its key go together")
    }
    let chain = try files.readChain()
    let key = try files.readKey()
    let authorities = try files.readAuthorities()
    if let key {
      var configuration = TLSConfiguration.makeServerConfiguration(
        certificateChain: chain, privateKey: key)
      if let authorities {
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates(authorities)
      }
      server = try Self.context(configuration, files)
    } else {
      server = nil
    }
    if let authorities {
      var configuration = TLSConfiguration.makeClientConfiguration()
      configuration.trustRoots = .certificates(authorities)
      configuration.certificateChain = chain
      configuration.privateKey = key
      client = try Self.context(configuration, files)
    } else {
      client = nil
    }
  }

  private static func context(
    _ settings: TLSConfiguration, _ files: TLSFiles
  ) throws(RPCError) -> NIOSSLContext {
    var settings = settings
    settings.minimumTLSVersion = .tlsv12
    settings.shutdownTimeout = shutdownPatience
    do {
      return try NIOSSLContext(configuration: settings)
    } catch {
      throw RPCError(
        .invalidArgument,
        "the key in \(files.key ?? "") isn't that of the certificate in \(files.certificate ?? "")",
        cause: error)
    }
  }

  func clientHandler(host: String) throws -> any ChannelHandler {
    guard let client else { preconditionFailure("only where clients are secured") }
    // A certificate names an IP address otherwise than a host, and TLS doesn't name it at all.
    let isLiteral = (try? SocketAddress(ipAddress: host, port: 0)) != nil
    return try NIOSSLClientHandler(context: client, serverHostname: isLiteral ? nil : host)
  }

  func serverHandler() -> any ChannelHandler {
    guard let server else { preconditionFailure("only where servers are secured") }
    return NIOSSLServerHandler(context: server)
  }

  func identity(of channel: any Channel) -> PeerIdentity? {
    guard let certificate = Self.certificate(of: channel),
      let bytes = try? certificate.toDERBytes()
    else { return nil }
    let names = certificate._subjectAlternativeNames().filter {
      $0.nameType == .dnsName || $0.nameType == .uri
    }
    return PeerIdentity(
      names: names.map { String(decoding: $0.contents, as: UTF8.self) }, certificate: bytes)
  }

  func explain(_ error: any Error, peer: String, channel: any Channel) -> RPCError? {
    TLSFailure(error, certificate: Self.certificate(of: channel))?
      .error(peer: peer, cause: error)
  }

  private static func certificate(of channel: any Channel) -> NIOSSLCertificate? {
    let pipeline = channel.pipeline.syncOperations
    if let handler = try? pipeline.handler(type: NIOSSLClientHandler.self) {
      return handler.peerCertificate
    }
    return (try? pipeline.handler(type: NIOSSLServerHandler.self))?.peerCertificate
  }
}
