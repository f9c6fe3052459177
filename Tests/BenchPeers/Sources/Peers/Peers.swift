import Foundation

/// Prints what grpc-swift-2 and swift-protobuf reach, a JSON object a line as `make bench JSON=FILE` does;
/// with `ONLY`, the figures whose names begin so.
@main
struct Peers {
  static func main() async throws {
    let note = "\(try ProtobufPeer.byteCount()) bytes"
    if wants("adapter.encode") {
      // It has one way to encode, into new bytes; ours has another, into the buffer that is sent.
      let encodes = try ProtobufPeer.encodes()
      report("adapter.encode", encodes, "messages/s", note)
      report("adapter.bytes", encodes, "messages/s", note)
    }
    if wants("adapter.decode") {
      report("adapter.decode", try ProtobufPeer.decodes(), "messages/s", note)
    }
    for inFlight in [1, 64] where wants("rpc.unary.\(inFlight)") {
      let (rate, cpu) = try await GRPCPeer.calls(inFlight: inFlight)
      report("rpc.unary.\(inFlight)", rate, "calls/s", "CPU \(Int(cpu.rounded())) us a call")
    }
  }

  private static func wants(_ name: String) -> Bool {
    name.hasPrefix(ProcessInfo.processInfo.environment["ONLY"] ?? "")
  }

  private static func report(_ name: String, _ value: Double, _ unit: String, _ note: String) {
    print(
      "{\"bench\": \"\(name)\", \"value\": \(value), \"unit\": \"\(unit)\", \"notes\": \"\(note)\"}"
    )
  }
}

/// The seconds that `body` took.
func seconds(_ body: () async throws -> Void) async rethrows -> Double {
  let start = ContinuousClock.now
  try await body()
  return start.duration(to: .now) / .seconds(1)
}

/// The seconds of CPU that this process has used.
func cpuSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// The middle one.
func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
}
