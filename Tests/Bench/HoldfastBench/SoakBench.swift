import CYardsticks
import NIOCore
import RPC
import RPCNIO
import Schema

/// Many calls in a row, with connections that come and go, calls that are cancelled and streams: what
/// memory is left with.
enum SoakBench {
  private static let callsARound = 20_000
  private static let inFlight = 64
  /// One call in so many is cancelled at once.
  private static let cancelsOneIn = 16

  /// `rpc.soak`: makes so many calls; none, nothing.
  static func run(_ report: Report, calls: Int) async throws {
    guard calls > 0, report.wants("rpc.soak") else { return }
    let rounds = max(calls / callsARound, 10)
    let transport = NIOTransport(loops: 1)
    let server = RPCServer(
      router: Router([BenchHandler()]), transport: transport, address: Address("127.0.0.1:0"),
      time: time)
    report.say("rpc.soak: client and server in one process, a new connection every \(callsARound)")
    report.say("      calls  cancelled  MB of memory")
    try await withThrowingTaskGroup(of: Void.self) { [report] group in
      group.addTask { try await server.run() }
      let address = try await server.listeningAddress
      // One for all rounds: a transport's threads live as long as the process.
      let transport = NIOTransport(loops: 1)
      var cancelled = 0
      for round in 1...rounds {
        cancelled += try await connectAndCall(address, over: transport)
        guard round % max(rounds / 10, 1) == 0 else { continue }
        let columns = [
          "\(round * callsARound)".paddedLeft(to: 11), "\(cancelled)".paddedLeft(to: 9),
          threeDigits(yardstick_resident_bytes() / 1e6).paddedLeft(to: 12),
        ]
        report.say(columns.joined(separator: "  "))
      }
      server.shutdown()
      try await group.waitForAll()
    }
  }

  /// Connects, makes a round's calls and a stream, and disconnects.
  ///
  /// - Returns: how many calls were cancelled.
  private static func connectAndCall(
    _ address: Address, over transport: NIOTransport
  ) async throws -> Int {
    try await withChannel(
      to: address, transport: transport, time: time, random: SystemRandomSource()
    ) { channel in
      let client = BenchClient(channel)
      let cancelled = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<inFlight {
          group.addTask(executorPreference: transport.executors[0]) {
            try await callInTurn(client)
          }
        }
        return try await group.reduce(0, +)
      }
      let piece = Body(ByteBuffer(repeating: 0x5a, count: 1_000))
      let response = try await client.pour { requests in
        for _ in 0..<100 { try await requests.write(PourRequest(data: piece)) }
      }
      guard response.bytes == 100_000 else { throw BenchError("a stream went wrong") }
      return cancelled
    }
  }

  /// One caller's part of a round.
  private static func callInTurn(_ client: BenchClient) async throws -> Int {
    let request = PingRequest(payload: [UInt8](repeating: 0x5a, count: 64))
    var cancelled = 0
    for number in 0..<callsARound / inFlight {
      guard number % cancelsOneIn == 0 else {
        _ = try await client.ping(request)
        continue
      }
      await withTaskGroup(of: Void.self) { group in
        group.addTask { _ = try? await client.ping(request) }
        group.cancelAll()
      }
      cancelled += 1
    }
    return cancelled
  }
}
