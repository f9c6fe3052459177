public import NIOCore
internal import NIOPosix
public import RPC

/// TCP over SwiftNIO: the only sockets of the house.
///
/// Addresses are `HOST:PORT`; the host is a name, an IPv4 address or an IPv6 address in brackets; a
/// server may listen on port 0 and learn the real one from its listener. Each connection lives on one of
/// the group's event loops and offers that loop as its executor: handlers that prefer it run where
/// their connection lives, without a hop between threads.
///
/// A value of this type is cheap to copy; its loops belong to whoever made the group.
public struct NIOTransport: Transport {
  /// How long a peer may take to answer a connection attempt.
  private static let connectTimeout = TimeAmount.seconds(5)
  /// Connections that the system completes before we accept them.
  private static let backlog: Int32 = 1024
  /// The room for one read: grows to the largest while reads fill it.
  private static let readBytes = (least: 2 * 1024, first: 16 * 1024, most: 1024 * 1024)
  /// Bytes that wait to be sent: above `high` a connection isn't writable, below `low` it is again.
  private static let waterMark = (low: 512 * 1024, high: 2 * 1024 * 1024)
  /// Full reads before the loop turns to another connection.
  private static let readsInARow: UInt = 2

  private let group: any EventLoopGroup
  private let loopExecutors: [ObjectIdentifier: LoopExecutor]

  /// A transport on the loops that the process shares, one per core.
  public init() {
    self.init(group: MultiThreadedEventLoopGroup.singleton)
  }

  /// A transport on the loops of `group`, which must outlive it.
  public init(group: any EventLoopGroup) {
    self.group = group
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
    let bootstrap = ClientBootstrap(group: group)
      .connectTimeout(Self.connectTimeout)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try self.furnish(channel)
          try channel.pipeline.syncOperations.addHandler(
            SocketConnection(executor: executor(of: channel.eventLoop), peer: endpoint.description))
        }
      }
    let channel =
      if let literal = endpoint.literal {
        bootstrap.connect(to: literal)
      } else {
        bootstrap.connect(host: endpoint.host, port: endpoint.port)
      }
    let connection = channel.flatMapThrowing { channel in
      try channel.pipeline.syncOperations.handler(type: SocketConnection.self)
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
  ///   `unavailable` when the port is in use, `permissionDenied` when it needs more rights.
  public func listen(on address: Address) async throws -> any ByteListener {
    let endpoint = try Endpoint(address)
    let arrivals = Arrivals()
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: Self.backlog)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try self.furnish(channel)
          try channel.pipeline.syncOperations.addHandler(
            SocketConnection(
              executor: executor(of: channel.eventLoop), onActive: { arrivals.add($0) }))
        }
      }
    do {
      let channel = try await bootstrap.bind(host: endpoint.host, port: endpoint.port).get()
      let bound = channel.localAddress.flatMap { Endpoint($0) } ?? endpoint
      return SocketListener(
        address: Address(bound.description), channel: channel, arrivals: arrivals)
    } catch {
      throw SocketErrors.listening(on: endpoint, error)
    }
  }

  private func furnish(_ channel: any Channel) throws {
    guard let options = channel.syncOptions else { return }
    try options.setOption(.tcpOption(.tcp_nodelay), value: 1)
    try options.setOption(.allowRemoteHalfClosure, value: true)
    try options.setOption(.maxMessagesPerRead, value: Self.readsInARow)
    try options.setOption(
      .recvAllocator,
      value: AdaptiveRecvByteBufferAllocator(
        minimum: Self.readBytes.least, initial: Self.readBytes.first,
        maximum: Self.readBytes.most))
    try options.setOption(
      .writeBufferWaterMark,
      value: ChannelOptions.Types.WriteBufferWaterMark(
        low: Self.waterMark.low, high: Self.waterMark.high))
  }

  private func executor(of loop: any EventLoop) -> LoopExecutor {
    loopExecutors[ObjectIdentifier(loop)] ?? LoopExecutor(loop: loop)
  }
}
