public import NIOCore
internal import NIOPosix
public import RPC

/// TCP and Unix sockets over SwiftNIO: the only sockets of the house.
///
/// Addresses are `HOST:PORT`; the host is a name, an IPv4 address or an IPv6 address in brackets; a
/// server may listen on port 0 and learn the real one from its listener. `unix:/PATH` is a Unix socket,
/// whose file only its owner may connect to. `RPCTLS` makes a transport that secures TCP. Each connection lives on one of
/// the group's event loops and offers that loop as its executor: handlers that prefer it run where
/// their connection lives, without a hop between threads.
///
/// A value of this type is cheap to copy; its loops belong to whoever made the group.
public struct NIOTransport: Transport {
  /// How long a peer may take to answer a connection attempt.
  private static let connectTimeout = TimeAmount.seconds(5)
  /// Connections that the system completes before we accept them.
  private static let backlog: Int32 = 1024
  /// Bytes that wait to be sent: above `high` a connection isn't writable, below `low` it is again.
  private static let waterMark = (low: 512 * 1024, high: 2 * 1024 * 1024)
  /// Full reads before the loop turns to another connection.
  private static let readsInARow: UInt = 1

  private let group: any EventLoopGroup
  private let security: (any SocketSecurity)?
  private let loopExecutors: [ObjectIdentifier: LoopExecutor]

  /// A transport on the loops that the process shares, one per core.
  public init() {
    self.init(group: MultiThreadedEventLoopGroup.singleton)
  }

  /// A transport on the loops of `group`, which must outlive it.
  public init(group: any EventLoopGroup) {
    self.init(group: group, security: nil)
  }

  /// A transport on the loops of `group` that secures TCP connections.
  package init(
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    security: (any SocketSecurity)?
  ) {
    self.group = group
    self.security = security
    var executors: [ObjectIdentifier: LoopExecutor] = [:]
    for loop in group.makeIterator() {
      executors[ObjectIdentifier(loop)] = LoopExecutor(loop: loop)
    }
    loopExecutors = executors
  }

  /// A transport on `loops` threads of its own, which live as long as the process.
  public init(loops: Int) {
    precondition(loops >= 1, "a transport needs an event loop")
    self.init(group: MultiThreadedEventLoopGroup(numberOfThreads: loops))
  }

  /// The executors of the loops, in the group's order: tasks that prefer the one of a connection reach
  /// it without a hop.
  public var executors: [any TaskExecutor] {
    group.makeIterator().map { executor(of: $0) }
  }

  /// Connects, by name to whichever of the host's addresses answers first.
  ///
  /// - Throws: `RPCError`, `invalidArgument` when `address` is none, `unavailable` when nobody listens
  ///   there or the host is unknown; `CancellationError`.
  public func connect(to address: Address) async throws -> any ByteConnection {
    let endpoint = try Endpoint(address)
    let security = endpoint.isSecured ? security : nil
    let bootstrap = ClientBootstrap(group: group)
      .connectTimeout(Self.connectTimeout)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try self.furnish(channel, endpoint)
          if case .tcp(let host, _) = endpoint, let security, security.securesClients {
            try channel.pipeline.syncOperations.addHandler(security.clientHandler(host: host))
          }
          try channel.pipeline.syncOperations.addHandler(
            SocketConnection(
              executor: executor(of: channel.eventLoop), peer: endpoint.description,
              security: security?.securesClients ?? false ? security : nil))
        }
      }
    let channel =
      switch endpoint {
      case .tcp(let host, let port):
        if let literal = endpoint.literal {
          bootstrap.connect(to: literal)
        } else {
          bootstrap.connect(host: host, port: port)
        }
      case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
      }
    let connection = channel.flatMap { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.handler(type: SocketConnection.self).whenSecure()
      }.flatMap { $0 }
    }
    do {
      return try await ConnectAttempt().connection(connection)
    } catch let error as CancellationError {
      throw error
    } catch {
      throw SocketErrors.connecting(to: endpoint, error)
    }
  }

  /// Listens.
  ///
  /// - Throws: `RPCError`, `invalidArgument` when `address` is none or not one of this machine,
  ///   `unavailable` when the port or the file is in use, `permissionDenied` when it needs more rights.
  public func listen(on address: Address) async throws -> any ByteListener {
    let endpoint = try Endpoint(address)
    let security = endpoint.isSecured && security?.securesServers ?? false ? security : nil
    let arrivals = Arrivals()
    let failure = ListenerFailure()
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: Self.backlog)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(failure)
        }
      }
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try self.furnish(channel, endpoint)
          if let security {
            try channel.pipeline.syncOperations.addHandler(security.serverHandler())
          }
          try channel.pipeline.syncOperations.addHandler(
            SocketConnection(
              executor: executor(of: channel.eventLoop), security: security,
              onActive: { arrivals.add($0) }))
        }
      }
    switch endpoint {
    case .tcp(let host, let port):
      do {
        let channel =
          try await bootstrap
          .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
          .bind(host: host, port: port).get()
        let bound = channel.localAddress.flatMap { Endpoint($0) } ?? endpoint
        return SocketListener(
          address: Address(bound.description), channel: channel, arrivals: arrivals,
          failure: failure)
      } catch {
        throw SocketErrors.listening(on: endpoint, error)
      }
    case .unix(let path):
      let (file, socket) = try UnixSocketFile.bind(path)
      do {
        let channel = try await bootstrap.withBoundSocket(socket).get()
        return SocketListener(
          address: address, channel: channel, arrivals: arrivals, failure: failure, file: file)
      } catch {
        file.remove()
        throw SocketErrors.listening(on: endpoint, error)
      }
    }
  }

  private func furnish(_ channel: any Channel, _ endpoint: Endpoint) throws {
    guard let options = channel.syncOptions else { return }
    if case .tcp = endpoint { try options.setOption(.tcpOption(.tcp_nodelay), value: 1) }
    try options.setOption(.allowRemoteHalfClosure, value: true)
    try options.setOption(.maxMessagesPerRead, value: Self.readsInARow)
    try options.setOption(
      .writeBufferWaterMark,
      value: ChannelOptions.Types.WriteBufferWaterMark(
        low: Self.waterMark.low, high: Self.waterMark.high))
  }

  private func executor(of loop: any EventLoop) -> LoopExecutor {
    loopExecutors[ObjectIdentifier(loop)] ?? LoopExecutor(loop: loop)
  }
}
