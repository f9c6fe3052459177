internal import RPC
internal import SeededExecution
internal import Synchronization

/// The randomness of one part of a simulation: a stream of its own out of the simulation's seed.
///
/// Each part draws from its own stream, found by the part's name, so that one that draws more often
/// does not change what the others see.
package final class SeededRandom: RandomSource {
  private let generator: Mutex<SeededGenerator>

  /// The stream of `name` under `seed`.
  package init(seed: UInt64, name: String) {
    var digest = Digest()
    digest.add(seed)
    for byte in name.utf8 { digest.add(UInt64(byte)) }
    generator = Mutex(SeededGenerator(seed: digest.value))
  }

  /// The next 64 bits of the stream.
  package func next() -> UInt64 {
    generator.withLock { $0.next() }
  }

  /// A number from 0 to `bound` - 1.
  package func next(below bound: Int) -> Int {
    generator.withLock { $0.next(below: bound) }
  }

  /// `count` bytes of the stream.
  package func bytes(_ count: Int) -> [UInt8] {
    let words = generator.withLock { generator in
      (0..<(count + 7) / 8).map { _ in generator.next().littleEndian }
    }
    return words.withUnsafeBytes { Array($0.prefix(count)) }
  }
}
