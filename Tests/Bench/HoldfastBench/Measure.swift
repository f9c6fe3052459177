import CYardsticks
import RPC

/// The clock of all measures.
let time = SystemTimeSource()

/// Runs `body` and returns the seconds that it took.
func seconds(_ body: () async throws -> Void) async rethrows -> Double {
  let start = time.now
  try await body()
  return Double(time.now.nanoseconds - start.nanoseconds) * 1e-9
}

/// Runs `body` and returns the seconds of CPU that this process used: for what only computes, so that
/// others who use the machine don't count.
func cpuSeconds(_ body: () async throws -> Void) async rethrows -> Double {
  let start = yardstick_cpu_seconds()
  try await body()
  return yardstick_cpu_seconds() - start
}

/// The middle one of `values`.
func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
}

/// The median of `times` runs of `body`.
func medianOf(_ times: Int, _ body: () async throws -> Double) async rethrows -> Double {
  var values: [Double] = []
  for _ in 0..<times {
    values.append(try await body())
  }
  return median(values)
}

/// What a yardstick returned, or why it could not be measured.
func yardstick(_ name: String, _ value: Double) throws(BenchError) -> Double {
  guard value > 0 else {
    throw BenchError("the yardstick \(name) failed with error number \(Int(-value))")
  }
  return value
}

/// How long each of many calls took.
struct Latencies: Sendable {
  private var nanoseconds: [UInt64] = []

  /// Adds one call.
  mutating func add(from start: Instant, to end: Instant) {
    nanoseconds.append(end.nanoseconds - start.nanoseconds)
  }

  /// Adds others' calls.
  mutating func merge(_ other: Latencies) {
    nanoseconds += other.nanoseconds
  }

  /// How many.
  var count: Int { nanoseconds.count }

  /// What that share of the calls took at most; 0 when there were none.
  func microseconds(at share: Double) -> Double {
    let sorted = nanoseconds.sorted()
    guard !sorted.isEmpty else { return 0 }
    return Double(sorted[Int(Double(sorted.count - 1) * share)]) / 1000
  }

  /// `p50 12 us, p99 40 us`.
  var summary: String {
    guard count > 0 else { return "" }
    let (half, most) = (microseconds(at: 0.5), microseconds(at: 0.99))
    return "p50 \(threeDigits(half)) us, p99 \(threeDigits(most)) us"
  }
}

/// Why a benchmark could not be run.
struct BenchError: Error, CustomStringConvertible {
  /// For people.
  let description: String

  /// Says why.
  init(_ description: String) {
    self.description = description
  }
}
