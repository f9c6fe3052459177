internal import NIOCore
package import RPC

/// Where a socket binds or connects: an address's text, taken apart.
///
/// `127.0.0.1:7400`, `[::1]:7400` and `host.example:7400` are endpoints; a port is 0 to 65,535.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// A host name or an IP address, without brackets.
  package var host: String
  /// The TCP port; 0 lets the system choose where a server listens.
  package var port: Int

  /// Takes `address` apart.
  ///
  /// - Throws: `RPCError`, `invalidArgument`, saying what is wrong with it.
  package init(_ address: Address) throws(RPCError) {
    let text = address.description
    guard let colon = text.lastIndex(of: ":") else {
      throw Self.refuse(text, "it has no port")
    }
    let digits = text[text.index(after: colon)...]
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let port = Int(digits), port <= 65_535
    else {
      throw Self.refuse(text, "its port isn't a number from 0 to 65535")
    }
    self.port = port
    var host = text[..<colon]
    if host.hasPrefix("[") {
      guard host.hasSuffix("]") else { throw Self.refuse(text, "its bracket isn't closed") }
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw Self.refuse(text, "an IPv6 address stands in brackets")
    }
    guard !host.isEmpty else { throw Self.refuse(text, "it has no host") }
    guard host.utf8.count <= 255, host.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw Self.refuse(text, "its host isn't a name")
    }
    self.host = String(host)
  }

  /// An endpoint of parts that are known to be right.
  package init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// `HOST:PORT`, IPv6 addresses in brackets.
  package var description: String {
    host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  private static func refuse(_ text: String, _ why: String) -> RPCError {
    RPCError(.invalidArgument, "'\(text)' is no address: \(why) (HOST:PORT is expected)")
  }
}

extension Endpoint {
  /// The endpoint of a socket's address; nil when it isn't an IP socket's.
  init?(_ address: SocketAddress) {
    guard let host = address.ipAddress, let port = address.port else { return nil }
    self.init(host: host, port: port)
  }

  /// The address, when the host is an IP address and needs no look-up.
  var literal: SocketAddress? {
    try? SocketAddress(ipAddress: host, port: port)
  }
}
