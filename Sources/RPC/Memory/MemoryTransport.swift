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
  ///
  /// - Throws: `RPCError`, `unavailable` when nobody listens there or it can't be reached.
  public func connect(to address: Address) async throws -> any ByteConnection {
    try Task.checkCancellation()
    return try await network.connect(from: host, to: address)
  }

  /// Listens; any text is an address, and a last part `:0` is given a number.
  ///
  /// - Throws: `RPCError`, `unavailable` when the address is in use.
  public func listen(on address: Address) async throws -> any ByteListener {
    try Task.checkCancellation()
    return try network.listen(host: host, on: address)
  }
}
