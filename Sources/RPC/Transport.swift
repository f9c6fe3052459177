public import NIOCore

/// Where a server listens or a client connects: `HOST:PORT`, `[IPv6]:PORT`, `unix:/PATH`, or a name that
/// the transport gives meaning to.
public struct Address: Sendable, Hashable, CustomStringConvertible {
  /// The text that names the place.
  public var description: String

  /// Names a place; the transport says whether it can be reached.
  public init(_ description: String) {
    self.description = description
  }
}

/// The network as services see it: makes and accepts connections that carry bytes.
public protocol Transport: Sendable {
  /// Connects.
  ///
  /// - Throws: `RPCError`, `unavailable` when nobody listens there.
  func connect(to address: Address) async throws -> any ByteConnection
  /// Listens; the listener's address has the real port where `address` has port 0.
  ///
  /// - Throws: `RPCError`, `unavailable` when the address is in use, `invalidArgument` when it is none.
  func listen(on address: Address) async throws -> any ByteListener
}

/// A place where connections come in.
public protocol ByteListener: Sendable {
  /// Where it listens.
  var address: Address { get }
  /// The next connection; nil once it is closed.
  ///
  /// - Throws: why no more can come in, though nobody has closed it.
  func accept() async throws -> (any ByteConnection)?
  /// Accepts no more; `accept` returns nil once the address is free again. Returns at once.
  func close()
}

/// A connection that carries bytes both ways, in order. It never blocks its caller.
public protocol ByteConnection: AnyObject, Sendable {
  /// The other side, for logs.
  var peer: String { get }
  /// Who the other side has proved to be; nil: it hasn't.
  var peerIdentity: PeerIdentity? { get }
  /// Where its handler is called and where work on this connection runs without a hop; nil: anywhere.
  var executor: (any TaskExecutor)? { get }
  /// Calls `handler` from now on, one call at a time, with what comes in. Called once.
  func start(_ handler: any ByteHandler)
  /// Takes bytes to send and sends them soon, in order. From any thread.
  func write(_ bytes: [ByteBuffer])
  /// Whether to read what comes in; reading is on at first.
  func setReading(_ reading: Bool)
  /// Sends what was taken, then closes. From any thread, any number of times.
  func close()
  /// Carries the bytes for as long as the connection lives, for a transport that has no threads to do
  /// it: whoever serves the connection runs it as a child task, from before `start`. Cancelling the
  /// task cuts the connection.
  func run() async
}

extension ByteConnection {
  /// Nothing is proved.
  public var peerIdentity: PeerIdentity? { nil }

  /// Returns at once: the transport has threads of its own.
  public func run() async {}
}

/// What a connection calls with what happens to it, one call at a time.
public protocol ByteHandler: AnyObject, Sendable {
  /// Bytes came in.
  ///
  /// - Returns: how many bytes of a body are sure to follow: so many may be read at once. What isn't a body
  ///   is better read little by little: it is work, and other connections wait for their turn.
  func received(_ bytes: ByteBuffer) -> Int
  /// The bytes that came in together have all been handed over: a good moment to write.
  func receivedAll()
  /// Whether written bytes leave as fast as they come: while false they pile up in memory.
  func writabilityChanged(_ isWritable: Bool)
  /// Of the bytes that were taken so many have left, ever, and `unsent` haven't: said when much was taken, and
  /// from then on every second until all have left.
  func sent(_ left: UInt64, unsent: Int)
  /// The connection is gone, with an error or at the peer's wish. The last call.
  func closed(_ error: RPCError?)
}

extension ByteHandler {
  /// Doesn't mind.
  public func sent(_ left: UInt64, unsent: Int) {}
}
