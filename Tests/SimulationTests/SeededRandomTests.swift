import Simulation
import Testing

@Suite("Seeded randomness")
struct SeededRandomTests {
  @Test("a stream follows from seed and name")
  func streams() {
    let one = SeededRandom(seed: 7, name: "disk")
    let same = SeededRandom(seed: 7, name: "disk")
    let otherName = SeededRandom(seed: 7, name: "network")
    let otherSeed = SeededRandom(seed: 8, name: "disk")
    let numbers = (0..<10).map { _ in one.next() }
    #expect(numbers == (0..<10).map { _ in same.next() })
    #expect(numbers != (0..<10).map { _ in otherName.next() })
    #expect(numbers != (0..<10).map { _ in otherSeed.next() })
  }

  @Test("bounded numbers stay in their bounds and reach them all")
  func bounds() {
    let random = SeededRandom(seed: 1, name: "bounds")
    var seen: Set<Int> = []
    for _ in 0..<1_000 { seen.insert(random.next(below: 7)) }
    #expect(seen == Set(0..<7))
  }

  @Test("as many bytes as asked for", arguments: [0, 1, 7, 8, 9, 1_000])
  func bytes(count: Int) {
    #expect(SeededRandom(seed: 1, name: "bytes").bytes(count).count == count)
  }
}
