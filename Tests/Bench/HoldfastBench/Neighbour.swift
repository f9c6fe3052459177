import NIOCore
import RPC
import RPCNIO
import Schema
import Synchronization

/// Somebody else at the same server, until it is cancelled.
protocol Neighbour: Sendable {
  /// Does what it does to the server at `address`, until the task is cancelled.
  func run(against address: Address) async throws
}

/// 64 callers in turn, who keep to the rules.
struct HonestNeighbour: Neighbour {
  let transport: NIOTransport

  func run(against address: Address) async throws {
    try await withChannel(
      to: address, transport: transport, time: time, random: SystemRandomSource()
    ) { channel in
      let client = BenchClient(channel)
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<64 {
          group.addTask(executorPreference: transport.executors[0]) {
            let request = PingRequest(payload: [UInt8](repeating: 0x5a, count: 64))
            while !Task.isCancelled { _ = try? await client.ping(request) }
          }
        }
      }
    }
  }
}

/// Peers that send what they like as fast as it is taken, and come back when they are thrown out.
struct Attack: Neighbour {
  /// What it is called in a figure.
  let name: String
  let transport: NIOTransport
  /// How many connections do it.
  var connections = 1
  /// Whether they read what the server says.
  var reads = true
  /// The first bytes of a connection.
  var opening = Attack.preface
  /// What comes then, again and again, with call ids from the first that wasn't used; none: nothing.
  var block: (@Sendable (_ firstID: UInt32) -> (bytes: ByteBuffer, idsUsed: UInt32))?

  static let preface = ByteBuffer(
    bytes: [0x89, 0x48, 0x46, 0x52, 0x50, 0x43, 0x0d, 0x0a, 1, 1, 0, 0, 0, 0, 0, 0])

  func run(against address: Address) async throws {
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<connections {
        group.addTask(executorPreference: transport.executors[0]) {
          while !Task.isCancelled { try? await once(address) }
        }
      }
    }
  }

  /// One connection, to its end.
  private func once(_ address: Address) async throws {
    let bytes = try await transport.connect(to: address)
    let peer = RudePeer()
    bytes.start(peer)
    if !reads { bytes.setReading(false) }
    defer { bytes.close() }
    bytes.write([opening])
    await withTaskCancellationHandler {
      var id: UInt32 = 1
      while block != nil, await peer.mayWrite() {
        guard let next = block?(id) else { return }
        id += 2 * next.idsUsed
        bytes.write([next.bytes])
        await Task.yield()
      }
      await peer.untilClosed()
    } onCancel: {
      peer.closed(nil)
    }
  }
}

/// Throws away what comes in.
private final class RudePeer: ByteHandler {
  private struct State {
    var isWritable = true
    var isClosed = false
    var waiter: UnsafeContinuation<Void, Never>?
  }
  private let state = Mutex(State())

  func received(_ bytes: ByteBuffer) -> Int { 0 }
  func receivedAll() {}
  func writabilityChanged(_ isWritable: Bool) { change { $0.isWritable = isWritable } }
  func closed(_ error: RPCError?) { change { $0.isClosed = true } }

  /// Waits until more may be written; false when the connection is closed.
  func mayWrite() async -> Bool {
    await wait { $0.isWritable || $0.isClosed }
    return state.withLock { !$0.isClosed }
  }

  func untilClosed() async {
    await wait { $0.isClosed }
  }

  private func wait(until isReady: (State) -> Bool) async {
    while !state.withLock({ isReady($0) }) {
      await withUnsafeContinuation { continuation in
        let isReady = state.withLock { state in
          if isReady(state) { return true }
          state.waiter = continuation
          return false
        }
        if isReady { continuation.resume() }
      }
    }
  }

  private func change(_ change: (inout State) -> Void) {
    let waiter = state.withLock { state in
      change(&state)
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }
}
