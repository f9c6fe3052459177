/// Connections inside one process, with the same semantics as the network's: for tests and simulation.
///
/// It has no threads and no tasks of its own: a connection's bytes are delivered by its `run()`, a
/// child of whoever serves the connection. Under a seeded executor two runs are the same.
public struct MemoryTransport: Transport {
  /// Which of the network's hosts this is, so that it can be killed.
  public let host: String
  let network: MemoryNetwork

  /// A host on `network`.
  public init(host: String = "local", network: MemoryNetwork = MemoryNetwork()) {
    self.host = host
    self.network = network
  }

  /// Connects to a listener on the same network.
  public func connect(to address: Address) async throws -> any ByteConnection {
    preconditionFailure("to come")
  }

  /// Listens; any text is an address, and a last part `:0` is given a number.
  public func listen(on address: Address) async throws -> any ByteListener {
    preconditionFailure("to come")
  }
}

/// The hosts and addresses that memory transports connect, with the faults they suffer.
public final class MemoryNetwork: Sendable {
  /// No hosts yet.
  public init() {}

  /// Cuts every connection to the listener at `address`, once.
  public func cut(_ address: Address) {
    preconditionFailure("to come")
  }

  /// Whether new connections reach `address`; making it unreachable cuts those it has.
  public func setReachable(_ address: Address, _ isReachable: Bool) {
    preconditionFailure("to come")
  }

  /// Ends every connection from and to `host` and its listeners, as when its process dies. It may
  /// listen and connect again afterwards.
  public func kill(host: String) {
    preconditionFailure("to come")
  }
}
