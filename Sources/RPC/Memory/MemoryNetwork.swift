internal import Synchronization

/// The hosts and addresses that memory transports connect, with the faults they suffer.
///
/// What takes time takes it by the network's time source, and what happens at random by its randomness:
/// under a simulation's own, two runs suffer the same.
public final class MemoryNetwork: Sendable {
  fileprivate struct Link {
    var link: MemoryLink
    var from: String
    var to: String
    var address: Address
  }

  fileprivate struct State {
    var listeners: [Address: MemoryListener] = [:]
    var unreachable: Set<Address> = []
    /// What is suffered everywhere, and at addresses with faults of their own.
    var faults = MemoryFaults()
    var faultsByAddress: [Address: MemoryFaults] = [:]
    /// In the order in which they were made.
    var links: [Link] = []
    var lastPort = 0
    var linkCount = 0
  }

  private let time: any TimeSource
  private let random: any RandomSource
  private let state = Mutex(State())

  /// No hosts yet, and no faults.
  public init(
    time: any TimeSource = SystemTimeSource(), random: any RandomSource = SystemRandomSource()
  ) {
    self.time = time
    self.random = random
  }

  /// What connections to the listener at `address` suffer from now on, both ways; nil: those to all
  /// listeners that have no faults of their own.
  public func setFaults(_ faults: MemoryFaults, at address: Address? = nil) {
    let hit = state.withLock { state in
      if let address {
        state.faultsByAddress[address] = faults
      } else {
        state.faults = faults
      }
      let own = state.faultsByAddress
      return state.links.filter { link in
        address.map { $0 == link.address } ?? (own[link.address] == nil)
      }
    }
    for link in hit { link.link.suffer(faults) }
  }

  /// Cuts every connection to the listener at `address`, once.
  public func cut(_ address: Address) {
    cut { $0.address == address }
  }

  /// Whether new connections reach `address`; making it unreachable cuts those it has.
  public func setReachable(_ address: Address, _ isReachable: Bool) {
    state.withLock { state in
      if isReachable {
        state.unreachable.remove(address)
      } else {
        state.unreachable.insert(address)
      }
    }
    if !isReachable { cut(address) }
  }

  /// Ends every connection from and to `host` and its listeners, as when its process dies. It may
  /// listen and connect again afterwards.
  public func kill(host: String) {
    let listeners = state.withLock { state in
      let dying = state.listeners.values.filter { $0.host == host }
      for listener in dying { state.listeners[listener.address] = nil }
      return dying.sorted { $0.address.description < $1.address.description }
    }
    for listener in listeners { listener.close() }
    cut { $0.from == host || $0.to == host }
  }

  private func cut(_ isHit: (Link) -> Bool) {
    let hit = state.withLock { state in
      let hit = state.links.filter(isHit)
      state.links.removeAll(where: isHit)
      return hit
    }
    for link in hit { link.link.cut() }
  }

  /// Connects; takes the time of a way there and back, and waits while nobody answers.
  ///
  /// - Throws: `RPCError`, or `CancellationError` when the task is cancelled meanwhile.
  func connect(from host: String, to address: Address) async throws -> any ByteConnection {
    while true {
      let faults = state.withLock { $0.faults(at: address) }
      let wait = faults.isSilent ? Self.retryInterval : faults.way(random) + faults.way(random)
      if wait > .zero { try await time.sleep(until: time.now.advanced(by: wait)) }
      if !faults.isSilent { return try link(from: host, to: address) }
    }
  }

  private func link(from host: String, to address: Address) throws(RPCError) -> any ByteConnection {
    let (listener, link) = state.withLock { state -> (MemoryListener?, MemoryLink) in
      state.linkCount += 1
      let link = MemoryLink(
        client: "\(host)#\(state.linkCount)", server: address.description,
        faults: state.faults(at: address), time: time, random: random)
      guard !state.unreachable.contains(address), let listener = state.listeners[address] else {
        return (nil, link)
      }
      state.links.removeAll { $0.link.isOver }
      state.links.append(Link(link: link, from: host, to: listener.host, address: address))
      return (listener, link)
    }
    guard let listener, listener.offer(link.server) else {
      throw RPCError(.unavailable, "nobody listens at \(address)")
    }
    return link.client
  }

  /// How long until one who connects and isn't answered tries again.
  private static let retryInterval: Duration = .seconds(1)

  func listen(host: String, on address: Address) throws(RPCError) -> any ByteListener {
    let listener = state.withLock { state -> MemoryListener? in
      var place = address
      if address.description.hasSuffix(":0") {
        state.lastPort += 1
        place = Address("\(address.description.dropLast())\(state.lastPort)")
      }
      guard state.listeners[place] == nil else { return nil }
      let listener = MemoryListener(address: place, host: host) { [weak self] listener in
        self?.remove(listener)
      }
      state.listeners[place] = listener
      return listener
    }
    guard let listener else { throw RPCError(.unavailable, "\(address) is in use") }
    return listener
  }

  private func remove(_ listener: MemoryListener) {
    state.withLock { state in
      guard state.listeners[listener.address] === listener else { return }
      state.listeners[listener.address] = nil
    }
  }
}

extension MemoryNetwork.State {
  /// What connections to a listener suffer.
  fileprivate func faults(at address: Address) -> MemoryFaults {
    faultsByAddress[address] ?? faults
  }
}

/// Where a memory network's connections come in.
final class MemoryListener: ByteListener {
  private struct State {
    var queue: [any ByteConnection] = []
    var isClosed = false
    var acceptor: UnsafeContinuation<Void, Never>?
  }

  let address: Address
  let host: String
  private let onClose: @Sendable (MemoryListener) -> Void
  private let state = Mutex(State())

  init(address: Address, host: String, onClose: @escaping @Sendable (MemoryListener) -> Void) {
    self.address = address
    self.host = host
    self.onClose = onClose
  }

  func accept() async throws -> (any ByteConnection)? {
    while true {
      let (connection, isClosed) = state.withLock { state in
        (state.queue.isEmpty ? nil : state.queue.removeFirst(), state.isClosed)
      }
      if let connection { return connection }
      if isClosed { return nil }
      try Task.checkCancellation()
      await withTaskCancellationHandler {
        await withUnsafeContinuation { continuation in
          let mustWait = state.withLock { state in
            guard state.queue.isEmpty, !state.isClosed, !Task.isCancelled else { return false }
            state.acceptor = continuation
            return true
          }
          if !mustWait { continuation.resume() }
        }
      } onCancel: {
        wake { _ in true }
      }
    }
  }

  func close() {
    onClose(self)
    wake { state in
      state.isClosed = true
      return true
    }
  }

  /// Hands over the server's end of a new connection; false when it accepts no more.
  func offer(_ connection: any ByteConnection) -> Bool {
    wake { state in
      guard !state.isClosed else { return false }
      state.queue.append(connection)
      return true
    }
  }

  @discardableResult
  private func wake(_ change: (inout State) -> Bool) -> Bool {
    let (isDone, acceptor) = state.withLock { state in
      let isDone = change(&state)
      defer { state.acceptor = nil }
      return (isDone, state.acceptor)
    }
    acceptor?.resume()
    return isDone
  }
}
