package import NIOCore
package import RPC

/// What stands between a TCP socket and its connection's bytes, such as TLS. Another room makes it, so
/// that whoever needs none doesn't build it.
package protocol SocketSecurity: Sendable {
  /// Whether servers secure what comes in.
  var securesServers: Bool { get }
  /// Whether clients secure what they connect to.
  var securesClients: Bool { get }
  /// The handler for a connection to `host`, which is a name or an IP address.
  func clientHandler(host: String) throws -> any ChannelHandler
  /// The handler for a connection that came in.
  func serverHandler() throws -> any ChannelHandler
  /// Who the peer proved to be, once `TLSUserEvent.handshakeCompleted` came through the pipeline; nil when
  /// it wasn't asked or doesn't say.
  func identity(of channel: any Channel) -> PeerIdentity?
  /// What an error of the handler means; nil when it isn't the handler's.
  func explain(_ error: any Error, peer: String, channel: any Channel) -> RPCError?
}
