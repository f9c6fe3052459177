import NIOCore
import Schema
import Testing
import TestSchemas

/// xorshift64*: small, and the same on every machine.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_f491_4f6c_dd1d
  }
}

@Suite("Mutated messages")
struct MutationTests {
  /// Changes, inserts, removes, doubles or cuts off a few bytes.
  func mutate(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    for _ in 0...(generator.next() % 4) {
      let place = bytes.isEmpty ? 0 : Int(generator.next() % UInt64(bytes.count))
      let odd: [UInt8] = [0, 1, 0x7f, 0x80, 0xff]
      let byte = odd[Int(generator.next() % 5)]
      switch generator.next() % 6 {
      case 0 where !bytes.isEmpty: bytes[place] = byte
      case 1 where !bytes.isEmpty: bytes[place] ^= 1 << UInt8(generator.next() % 8)
      case 2: bytes.insert(byte, at: place)
      case 3 where !bytes.isEmpty: bytes.remove(at: place)
      case 4: bytes.removeSubrange(place...)
      default:
        bytes.insert(contentsOf: bytes[place..<min(place + 20, bytes.count)], at: place)
      }
    }
    return bytes
  }

  @Test(
    "are refused or decoded, never crash, and what is decoded comes back from its encoding",
    arguments: 1...8 as ClosedRange<UInt64>)
  func survive(seed: UInt64) throws {
    var generator = SeededGenerator(state: seed &* 0x9e37_79b9_7f4a_7c15)
    let seeds = try [
      Samples.everything.encodedBytes(), Everything(choice: .name("abc")).encodedBytes(),
      Tree(
        label: "x", left: Samples.chain(depth: 5), children: [Tree(everything: Samples.everything)]
      ).encodedBytes(),
    ]
    let limits = DecodingLimits(memory: 1 << 20)
    for round in 0..<500 {
      let input = mutate(seeds[round % seeds.count], &generator)
      check(Everything.self, input, limits)
      check(Tree.self, input, limits)
      check(Inner.self, input, limits)
    }
  }

  private func check<M: Message>(_ type: M.Type, _ input: [UInt8], _ limits: DecodingLimits) {
    guard let message = try? M(encodedBytes: input, limits: limits) else { return }
    do {
      // Encodings are compared rather than messages: NaN differs from itself.
      let bytes = try message.encodedBytes()
      let again = try M(encodedBytes: bytes)
      #expect(try again.encodedBytes() == bytes)
    } catch {
      Issue.record("\(error) of what was decoded from \(input)")
    }
  }
}
