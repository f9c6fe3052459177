internal import NIOCore
package import RPC

/// Where a socket binds or connects: an address's text, taken apart.
///
/// `127.0.0.1:7400`, `[::1]:7400` and `host.example:7400` are TCP endpoints; a port is 0 to 65,535.
/// `unix:/run/holdfast.sock` is a Unix socket's.
package enum Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// A host name or an IP address without brackets, and a TCP port; port 0 lets the system choose where
  /// a server listens.
  case tcp(host: String, port: Int)
  /// A Unix socket: the path of its file.
  case unix(path: String)

  /// What stands before a Unix socket's path.
  private static let unixPrefix = "unix:"
  /// The longest path: what the system's address holds, with the zero that ends it.
  private static let maxPathBytes = 103

  /// Takes `address` apart.
  ///
  /// - Throws: `RPCError`, `invalidArgument`, saying what is wrong with it.
  package init(_ address: Address) throws(RPCError) {
    let text = address.description
    if text.hasPrefix(Self.unixPrefix) {
      self = .unix(path: try Self.path(text.dropFirst(Self.unixPrefix.count), of: text))
      return
    }
    guard let colon = text.lastIndex(of: ":") else {
      throw Self.refuse(text, "it has no port")
    }
    let digits = text[text.index(after: colon)...]
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let port = Int(digits), port <= 65_535
    else {
      throw Self.refuse(text, "its port isn't a number from 0 to 65535")
    }
    self = .tcp(host: try Self.host(text[..<colon], of: text), port: port)
  }

  /// `HOST:PORT`, IPv6 addresses in brackets; `unix:PATH`.
  package var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): Self.unixPrefix + path
    }
  }

  /// The TCP port; nil for a Unix socket.
  package var port: Int? {
    if case .tcp(_, let port) = self { port } else { nil }
  }

  /// Whether a transport that secures its connections secures this one's: a Unix socket never leaves the
  /// machine, and its file's permissions guard it.
  var isSecured: Bool {
    if case .tcp = self { true } else { false }
  }

  private static func host(_ part: Substring, of text: String) throws(RPCError) -> String {
    var host = part
    if host.hasPrefix("[") {
      guard host.hasSuffix("]") else { throw refuse(text, "its bracket isn't closed") }
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw refuse(text, "an IPv6 address stands in brackets")
    }
    guard !host.isEmpty else { throw refuse(text, "it has no host") }
    guard host.utf8.count <= 255, host.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw refuse(text, "its host isn't a name")
    }
    return String(host)
  }

  private static func path(_ part: Substring, of text: String) throws(RPCError) -> String {
    guard part.hasPrefix("/"), !part.hasSuffix("/") else {
      throw refuse(text, "a Unix socket has a file's whole path, from / on")
    }
    guard part.utf8.count <= maxPathBytes else {
      throw refuse(
        text, "its path has \(part.utf8.count) bytes, and a Unix socket's at most \(maxPathBytes)")
    }
    guard !part.utf8.contains(0) else { throw refuse(text, "its path holds a NUL") }
    return String(part)
  }

  private static func refuse(_ text: String, _ why: String) -> RPCError {
    RPCError(
      .invalidArgument,
      "'\(text)' is no address: \(why) (HOST:PORT or unix:/PATH is expected)")
  }
}

extension Endpoint {
  /// The endpoint of a socket's address; nil when it has none, as a Unix socket's client.
  init?(_ address: SocketAddress) {
    if let host = address.ipAddress, let port = address.port {
      self = .tcp(host: host, port: port)
    } else if let path = address.pathname, !path.isEmpty {
      self = .unix(path: path)
    } else {
      return nil
    }
  }

  /// The address, when it needs no look-up.
  var literal: SocketAddress? {
    switch self {
    case .tcp(let host, let port): try? SocketAddress(ipAddress: host, port: port)
    case .unix(let path): try? SocketAddress(unixDomainSocketPath: path)
    }
  }
}
