import RPCFuzzing
import SeededExecution
import Testing

@Suite("Frames and connections of any bytes")
struct FuzzingTests {
  /// Inputs of up to 400 bytes.
  private func inputs(seed: UInt64, count: Int) -> [[UInt8]] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      (0..<generator.next(below: 400)).map { _ in UInt8(generator.next(below: 256)) }
    }
  }

  @Test("frames are the same whole and in pieces, and come back from their encoding")
  func frames() {
    for input in inputs(seed: 1, count: 500) { decodeFrames(input) }
  }

  @Test("a connection's books are right after any events", arguments: 0..<8 as Range<UInt64>)
  func connections(seed: UInt64) {
    for input in inputs(seed: seed, count: 250) { driveConnection(input) }
  }
}
