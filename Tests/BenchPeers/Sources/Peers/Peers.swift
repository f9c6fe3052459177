/// Prints what grpc-swift-2 and swift-protobuf reach, a JSON object a line as `make bench JSON=FILE` does.
@main
struct Peers {
  static func main() async throws {
    for inFlight in [1, 64] {
      let rate = try await GRPCPeer.callsASecond(inFlight: inFlight)
      report("rpc.unary.\(inFlight)", rate, "calls/s")
    }
    report("adapter.encode", try ProtobufPeer.encodes(), "messages/s")
    report("adapter.decode", try ProtobufPeer.decodes(), "messages/s")
  }

  private static func report(_ name: String, _ value: Double, _ unit: String) {
    print("{\"bench\": \"\(name)\", \"value\": \(value), \"unit\": \"\(unit)\"}")
  }
}

/// The seconds that `body` took.
func seconds(_ body: () async throws -> Void) async rethrows -> Double {
  let start = ContinuousClock.now
  try await body()
  return start.duration(to: .now) / .seconds(1)
}

/// The middle one.
func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
}
