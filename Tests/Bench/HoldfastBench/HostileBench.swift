import CYardsticks
import NIOCore
import RPC
import RPCNIO
import Schema

/// What the well-behaved notice of peers that aren't: how long their calls take, and what memory it costs.
///
/// The server has one event loop, so that everybody is on it together. An honest neighbour with 64 calls in
/// flight is the measure: nobody who breaks rules should be able to do more harm than that.
enum HostileBench {
  private static let secondsEach = 1.5
  private static let callers = 8

  /// `rpc.hostile.*`.
  static func run(_ report: inout Report) async throws {
    guard report.wantsAny(of: "rpc.hostile.") else { return }
    let transports = (server: NIOTransport(loops: 1), client: NIOTransport(loops: 1))
    let hostile = NIOTransport(loops: 1)
    let server = RPCServer(
      router: Router([BenchHandler()]), transport: transports.server,
      address: Address("127.0.0.1:0"), time: time)
    report.say(
      "rpc.hostile.*: \(callers) callers in turn, p99 of their calls, beside that with an honest neighbour "
        + "of 64 calls in flight; memory is the whole process's growth")
    report = try await withThrowingTaskGroup(of: Void.self) { [report] group in
      var report = report
      group.addTask(executorPreference: transports.server.executors[0]) { try await server.run() }
      let address = try await server.listeningAddress
      let honest = HonestNeighbour(transport: hostile)
      _ = try await latency(address, transports.client, beside: nil, seconds: 0.3)
      for attack in Attack.all(over: hostile)
      where report.wants("rpc.hostile.\(attack.name)") {
        let quiet = try await latency(address, transports.client, beside: nil)
        let busy = try await latency(address, transports.client, beside: honest)
        let attacked = try await latency(address, transports.client, beside: attack)
        let grown = threeDigits(max(attacked.memory - busy.memory, 0) / 1e6)
        report.add(
          Figure(
            name: "rpc.hostile.\(attack.name)", value: attacked.most, unit: "us p99",
            against: "honest neighbour", yardstick: busy.most,
            notes: "alone \(threeDigits(quiet.most)) us, \(grown) MB of memory more"))
      }
      server.shutdown(grace: .zero)
      try await group.waitForAll()
      return report
    }
  }

  /// The 99th percentile of the calls' time in microseconds while `neighbour` does what it does, and what
  /// the process has in memory at the end of it.
  private static func latency(
    _ address: Address, _ transport: NIOTransport, beside neighbour: (any Neighbour)?,
    seconds: Double = secondsEach
  ) async throws -> (most: Double, memory: Double) {
    try await withChannel(
      to: address, transport: transport, time: time, random: SystemRandomSource()
    ) { channel in
      let client = BenchClient(channel)
      _ = try await client.ping(PingRequest())
      return try await withThrowingTaskGroup(of: Latencies?.self) { group in
        if let neighbour {
          group.addTask {
            try await neighbour.run(against: address)
            return nil
          }
        }
        let end = time.now.advanced(by: .seconds(seconds))
        for _ in 0..<callers {
          group.addTask(executorPreference: transport.executors[0]) {
            try await RPCBench.callInTurn(client, until: end)
          }
        }
        var all = Latencies()
        var left = callers
        while left > 0, let batch = try await group.next() {
          guard let batch else { continue }
          all.merge(batch)
          left -= 1
        }
        let memory = yardstick_resident_bytes()
        group.cancelAll()
        return (all.microseconds(at: 0.99), memory)
      }
    }
  }
}
