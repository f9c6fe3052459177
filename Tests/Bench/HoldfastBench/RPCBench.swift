import CYardsticks
import NIOCore
import RPC
import RPCNIO
import Schema

/// Calls over loopback TCP against what two C threads with an epoll each do over as many connections as
/// calls are in flight.
///
/// Client and server are in this process, each on one event loop of its own; handlers and callers run on
/// the loop of their connection.
enum RPCBench {
  private static let repetitions = 3
  private static let secondsEach = 1.0
  private static let payloadBytes = 64
  private static let bodyBytes = 1 << 20

  /// How many connections, and calls at once on each.
  private struct Shape {
    var name: String
    var connections: Int
    var inFlight: Int
  }
  private static let shapes = [
    Shape(name: "rpc.unary.1", connections: 1, inFlight: 1),
    Shape(name: "rpc.unary.64", connections: 1, inFlight: 64),
    Shape(name: "rpc.unary.8x8", connections: 8, inFlight: 8),
  ]

  /// `rpc.unary.*`, `rpc.stream` and `rpc.body.1MiB`.
  static func run(_ report: inout Report) async throws {
    guard report.wantsAny(of: "rpc.") else { return }
    let serverTransport = NIOTransport(loops: 1)
    let clientTransport = NIOTransport(loops: 1)
    let server = RPCServer(
      router: Router([BenchHandler()]), transport: serverTransport, address: Address("127.0.0.1:0"),
      time: time)
    let pool = ChannelPool(
      transport: clientTransport, time: time, random: SystemRandomSource())
    report.say(
      "rpc.*: client and server in one process, one event loop (thread) each; callers and handlers "
        + "run on their connection's loop; CPU is both sides'")
    report = try await withThrowingTaskGroup(of: Void.self) { [report] group in
      var report = report
      group.addTask(executorPreference: serverTransport.executors[0]) { try await server.run() }
      group.addTask(executorPreference: clientTransport.executors[0]) { await pool.run() }
      let address = try await server.listeningAddress
      for shape in shapes where report.wants(shape.name) {
        report.add(try await unary(shape, pool, address, clientTransport.executors[0]))
      }
      if report.wants("rpc.stream") {
        report.add(try await stream(pool, address, clientTransport.executors[0]))
      }
      if report.wants("rpc.body.1MiB") {
        report.add(try await body(pool, address, clientTransport.executors[0]))
      }
      pool.shutdown()
      server.shutdown()
      try await group.waitForAll()
      return report
    }
  }

  private static func unary(
    _ shape: Shape, _ pool: ChannelPool, _ address: Address, _ executor: any TaskExecutor
  ) async throws -> Figure {
    let sockets = shape.connections * shape.inFlight
    var rates: [Double] = []
    var bare: [Double] = []
    var cpu: [Double] = []
    var latencies = Latencies()
    _ = try await calls(shape, pool, address, executor, seconds: 0.3)
    for _ in 0..<repetitions {
      bare.append(
        try yardstick(
          "c.pingpong.\(sockets)", yardstick_pingpong(Int32(sockets), secondsEach)))
      let cpuBefore = yardstick_cpu_seconds()
      var batch = Latencies()
      let elapsed = try await seconds {
        batch = try await calls(shape, pool, address, executor, seconds: secondsEach)
      }
      rates.append(Double(batch.count) / elapsed)
      cpu.append((yardstick_cpu_seconds() - cpuBefore) / Double(batch.count) * 1e6)
      latencies.merge(batch)
    }
    return Figure(
      name: shape.name, value: median(rates), unit: "calls/s", against: "c.pingpong.\(sockets)",
      yardstick: median(bare),
      notes: "\(latencies.summary), CPU \(threeDigits(median(cpu))) us a call")
  }

  private static func calls(
    _ shape: Shape, _ pool: ChannelPool, _ address: Address, _ executor: any TaskExecutor,
    seconds: Double
  ) async throws -> Latencies {
    let end = time.now.advanced(by: .seconds(seconds))
    return try await withThrowingTaskGroup(of: Latencies.self) { group in
      for lane in 0..<shape.connections {
        let client = BenchClient(pool.channel(to: address, lane: lane))
        for _ in 0..<shape.inFlight {
          group.addTask(executorPreference: executor) { try await callInTurn(client, until: end) }
        }
      }
      return try await group.reduce(into: Latencies()) { $0.merge($1) }
    }
  }

  /// One caller: call after call until `end`, and how long each took.
  static func callInTurn(
    _ client: BenchClient, until end: Instant
  ) async throws -> Latencies {
    var latencies = Latencies()
    let request = PingRequest(payload: [UInt8](repeating: 0x5a, count: payloadBytes))
    var start = time.now
    while start < end {
      let response = try await client.ping(request)
      guard response.payload.count == payloadBytes else { throw BenchError("a ping went wrong") }
      let now = time.now
      latencies.add(from: start, to: now)
      start = now
    }
    return latencies
  }

  /// Small messages one way in one call.
  private static func stream(
    _ pool: ChannelPool, _ address: Address, _ executor: any TaskExecutor
  ) async throws -> Figure {
    let client = BenchClient(pool.channel(to: address))
    var rates: [Double] = []
    var bare: [Double] = []
    var cpu: [Double] = []
    _ = try await pour(client, executor, bytes: payloadBytes, seconds: 0.3)
    for _ in 0..<repetitions {
      bare.append(try yardstick("c.pingpong.64", yardstick_pingpong(64, secondsEach)))
      let cpuBefore = yardstick_cpu_seconds()
      var messages = 0.0
      let elapsed = try await seconds {
        messages =
          try await pour(client, executor, bytes: payloadBytes, seconds: secondsEach)
          / Double(payloadBytes)
      }
      rates.append(messages / elapsed)
      cpu.append((yardstick_cpu_seconds() - cpuBefore) / messages * 1e6)
    }
    return Figure(
      name: "rpc.stream", value: median(rates), unit: "msgs/s", against: "c.pingpong.64",
      yardstick: median(bare), notes: "CPU \(threeDigits(median(cpu))) us a message")
  }

  private static func body(
    _ pool: ChannelPool, _ address: Address, _ executor: any TaskExecutor
  ) async throws -> Figure {
    let client = BenchClient(pool.channel(to: address))
    var rates: [Double] = []
    var bare: [Double] = []
    var cpu: [Double] = []
    _ = try await pour(client, executor, bytes: bodyBytes, seconds: 0.3)
    for _ in 0..<repetitions {
      bare.append(try yardstick("c.copy.1MiB", yardstick_copy(bodyBytes, secondsEach)) / 1e6)
      let cpuBefore = yardstick_cpu_seconds()
      var bytes = 0.0
      let elapsed = try await seconds {
        bytes = try await pour(client, executor, bytes: bodyBytes, seconds: secondsEach)
      }
      rates.append(bytes / elapsed / 1e6)
      cpu.append((yardstick_cpu_seconds() - cpuBefore) / bytes * 1e9)
    }
    return Figure(
      name: "rpc.body.1MiB", value: median(rates), unit: "MB/s", against: "c.copy.1MiB",
      yardstick: median(bare), notes: "CPU \(threeDigits(median(cpu))) s a GB")
  }

  private static func pour(
    _ client: BenchClient, _ executor: any TaskExecutor, bytes: Int, seconds: Double
  ) async throws -> Double {
    let end = time.now.advanced(by: .seconds(seconds))
    let piece = Body(ByteBuffer(repeating: 0x5a, count: bytes))
    return try await withTaskExecutorPreference(executor) {
      let response = try await client.pour { requests in
        while time.now < end {
          try await requests.write(PourRequest(data: piece))
        }
      }
      return Double(response.bytes)
    }
  }
}

/// Serves the calls of the benchmarks.
struct BenchHandler: BenchService {
  func ping(_ request: PingRequest, context: CallContext) async throws -> PingResponse {
    PingResponse(payload: request.payload)
  }

  func pour(
    _ requests: MessageReader<PourRequest>, context: CallContext
  ) async throws -> PourResponse {
    var bytes: UInt64 = 0
    while let request = try await requests.next() {
      bytes += UInt64(request.data.count)
    }
    return PourResponse(bytes: bytes)
  }
}
