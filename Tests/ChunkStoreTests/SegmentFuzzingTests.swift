import SeededExecution
import SegmentFuzzing
import Testing

@Suite("Segments of any bytes")
struct SegmentFuzzingTests {
  @Test(
    "a store opens over any bytes, serves no wrong one and is writable",
    arguments: 0..<4 as Range<UInt8>)
  func randomBytes(mode: UInt8) throws {
    var generator = SeededGenerator(seed: UInt64(mode))
    for _ in 0..<60 {
      var input = [mode]
      for _ in 0..<generator.next(below: 5) {
        let length = generator.next(below: 12)
        input += [
          UInt8(generator.next(below: 256)), UInt8(generator.next(below: 96)), UInt8(length),
        ]
        input += (0..<length).map { _ in UInt8(generator.next(below: 256)) }
      }
      try recoverSegments(input)
    }
  }

  @Test("found by fuzzing: a record that ends one of the last segment there can be")
  func lastSegment() throws {
    try recoverSegments([61, 52, 80, 61, 254, 255, 255, 255, 255, 255, 255, 127, 65, 57, 215])
  }
}
