internal import Synchronization

/// What a server is at, at one moment.
public struct ServerReport: Sendable, Hashable {
  /// How long it has been running.
  public var age: Duration
  /// Whether it was told to stop.
  public var isDraining: Bool
  /// Its connections, in the order in which they came in, as far as the report's limits go.
  public var connections: [ConnectionReport] = []
  /// How many connections it has.
  public var connectionCount = 0

  /// How much of a server a report tells.
  public struct Limits: Sendable, Hashable {
    /// The most connections.
    public var connections = Int.max
    /// The most calls of one connection.
    public var callsOfConnection = Int.max
    /// The most calls of all connections together.
    public var calls = Int.max

    /// None.
    public init() {}

    /// How many of a connection's `count` calls are told, which later ones have less room for.
    mutating func take(_ count: Int) -> Int {
      let told = min(count, callsOfConnection, calls)
      calls -= told
      return told
    }
  }

  /// One connection.
  public struct ConnectionReport: Sendable, Hashable {
    /// Counts the server's connections from 1.
    public var number: UInt64
    /// Where it comes from.
    public var peer: String
    /// Who the peer has proved to be.
    public var identity: PeerIdentity?
    /// How long it has been there.
    public var age: Duration
    /// How long ago bytes came in.
    public var idle: Duration
    /// Bytes that came in.
    public var bytesReceived: UInt64
    /// Bytes handed to the transport.
    public var bytesSent: UInt64
    /// Calls that ever came in.
    public var callsBegun: UInt64
    /// The cost of whole messages that no handler has taken, in credit.
    public var bytesHeld: UInt64
    /// What may still be sent, in credit.
    public var sendWindow: UInt64
    /// What the peer may still send, in credit.
    public var receiveWindow: UInt64
    /// The calls under way, those that began first first, as far as the report's limits go.
    public var calls: [CallReport]
    /// How many calls are under way.
    public var callCount: Int
  }

  /// One call under way.
  public struct CallReport: Sendable, Hashable {
    /// Its stream's number.
    public var stream: UInt32
    /// `/package.Service/Method`.
    public var path: String
    /// How long ago it came in.
    public var age: Duration
    /// What is left of its deadline; nil: it has none.
    public var timeLeft: Duration?
    /// Messages that its handler has not taken.
    public var messagesWaiting: Int
    /// Whether a message waits for credit or for the network.
    public var isWriteBlocked: Bool
    /// What may still be sent, in credit; 0 when nothing more will be.
    public var sendWindow: UInt64
    /// What the peer may still send, in credit; 0 when nothing more will come.
    public var receiveWindow: UInt64
  }
}

extension Connection {
  /// What it is at, with as many calls as `limits` has room for.
  func report(
    now: Instant, within limits: inout ServerReport.Limits
  ) -> ServerReport.ConnectionReport {
    state.withLock { state in
      let told = state.calls.sorted { $0.key < $1.key }.prefix(limits.take(state.calls.count))
      let calls = told.map { id, call in
        let books = state.machine.calls[id]
        return ServerReport.CallReport(
          stream: id, path: call.path, age: call.began.duration(to: now),
          timeLeft: call.deadline.map { max(now.duration(to: $0), .zero) },
          messagesWaiting: call.inbound.count, isWriteBlocked: !call.isWritten,
          sendWindow: books?.outgoing.available ?? 0, receiveWindow: books?.incoming.left ?? 0)
      }
      return ServerReport.ConnectionReport(
        number: number, peer: peer, identity: bytes.peerIdentity,
        age: state.began.duration(to: now), idle: state.lastReceived.duration(to: now),
        bytesReceived: state.bytesReceived, bytesSent: state.bytesSent,
        callsBegun: (UInt64(state.machine.lastID) + 1) / 2, bytesHeld: state.machine.incoming.held,
        sendWindow: state.machine.outgoing.available, receiveWindow: state.machine.incoming.left,
        calls: calls, callCount: state.calls.count)
    }
  }
}

extension IncomingCredit {
  /// What may still come in.
  fileprivate var left: UInt64 { limit > received ? limit - received : 0 }
}
