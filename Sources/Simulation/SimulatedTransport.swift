internal import Checksum
internal import NIOCore
package import RPC
internal import Synchronization

/// The network as one simulated process has it: notes in the trace what it sends, and is gone for
/// good when the process dies.
package final class SimulatedTransport: Transport {
  private let inner: MemoryTransport
  private let network: MemoryNetwork
  private let trace: Trace
  private let isDead = Mutex(false)
  private let connections = Mutex(0)

  /// The network card of `host`.
  package init(host: String, network: MemoryNetwork, trace: Trace) {
    inner = MemoryTransport(host: host, network: network)
    self.network = network
    self.trace = trace
  }

  /// The process dies: whatever of it still runs reaches nobody any more.
  package func die() {
    isDead.withLock { $0 = true }
    network.kill(host: inner.host)
  }

  /// Connects, unless the process is dead.
  package func connect(to address: Address) async throws -> any ByteConnection {
    try checkAlive()
    let connection = try await inner.connect(to: address)
    guard !isDead.withLock({ $0 }) else {
      connection.close()
      throw SimulatedTransport.dead
    }
    return adopt(connection, how: "connects to \(address)")
  }

  /// Listens, unless the process is dead.
  package func listen(on address: Address) async throws -> any ByteListener {
    try checkAlive()
    return Listener(inner: try await inner.listen(on: address), transport: self)
  }

  private static let dead = RPCError(.unavailable, "this process is dead")

  private func checkAlive() throws {
    if isDead.withLock({ $0 }) { throw SimulatedTransport.dead }
  }

  private func adopt(_ connection: any ByteConnection, how: String) -> any ByteConnection {
    let number = connections.withLock { count in
      count += 1
      return count
    }
    trace.note(inner.host, "\(how): connection \(number)")
    return Connection(inner: connection, label: "\(inner.host)/\(number)", trace: trace)
  }

  /// Accepts connections and notes it.
  private final class Listener: ByteListener {
    private let inner: any ByteListener
    private let transport: SimulatedTransport

    init(inner: any ByteListener, transport: SimulatedTransport) {
      self.inner = inner
      self.transport = transport
    }

    var address: Address { inner.address }

    func accept() async throws -> (any ByteConnection)? {
      guard let connection = try await inner.accept() else { return nil }
      return transport.adopt(connection, how: "accepts")
    }

    func close() {
      inner.close()
    }
  }

  /// Passes everything on, and notes what is sent.
  private final class Connection: ByteConnection {
    private let inner: any ByteConnection
    private let label: String
    private let trace: Trace

    init(inner: any ByteConnection, label: String, trace: Trace) {
      self.inner = inner
      self.label = label
      self.trace = trace
    }

    var peer: String { inner.peer }
    var executor: (any TaskExecutor)? { inner.executor }

    func start(_ handler: any ByteHandler) {
      inner.start(handler)
    }

    func write(_ bytes: [ByteBuffer]) {
      var checksum = CRC32C()
      for buffer in bytes { checksum.update(buffer) }
      let count = bytes.reduce(0) { $0 + $1.readableBytes }
      trace.note(label, "sends \(count) bytes, checksum \(String(checksum.value, radix: 16))")
      inner.write(bytes)
    }

    func setReading(_ reading: Bool) {
      inner.setReading(reading)
    }

    func close() {
      trace.note(label, "closes")
      inner.close()
    }

    func run() async {
      await inner.run()
    }
  }
}
