import SeededExecution
import StoreModel
import Testing

@testable import ChunkStore

@Suite("Index of chunks")
struct ChunkIndexTests {
  private static func id(_ number: Int) -> ChunkID {
    ChunkID(group: UInt32(number % 7 + 1), upload: UInt64(number / 7), index: UInt32(number % 3))
  }

  @Test("it agrees with a dictionary over random changes", arguments: [0, 400])
  func model(reserved: Int) {
    var generator = SeededGenerator(seed: UInt64(reserved + 1))
    var index = ChunkIndex(hashSeed: generator.next())
    if reserved > 0 { index.reserve(reserved) }
    var model: [ChunkID: ChunkIndex.Entry] = [:]
    for step in 0..<20_000 {
      let id = Self.id(generator.next(below: 600))
      if generator.next(below: 3) == 0 {
        index.remove(id)
        model[id] = nil
      } else {
        let entry = ChunkIndex.Entry(
          place: RecordPlace(
            segment: UInt32(step + 1), unit: UInt32(generator.next(below: 1 << 30))),
          length: UInt32(generator.next(below: 64 << 20)) + 1,
          isDamaged: generator.next(below: 2) == 0, isDoubtful: generator.next(below: 2) == 0)
        #expect(index.set(id, entry) == model.updateValue(entry, forKey: id))
      }
      #expect(index[id] == model[id])
      if step % 1_000 == 0 { index.checkInvariants() }
    }
    #expect(index.count == model.count)
    #expect(index.bytes == model.values.reduce(0) { $0 + UInt64($1.length) })
  }

  @Test("it takes at most 48 bytes a chunk, however many there are")
  func memory() {
    var index = ChunkIndex(hashSeed: 5)
    var reserved = ChunkIndex(hashSeed: 5)
    reserved.reserve(200_000)
    for number in 0..<200_000 {
      let id = ChunkID(group: 1, upload: UInt64(number), index: 0)
      let entry = ChunkIndex.Entry(place: RecordPlace(segment: 1, unit: 1), length: 1)
      index.set(id, entry)
      reserved.set(id, entry)
      // Parts of some entries can't be filled to the last.
      if number > 50_000, number % 5_000 == 0 { #expect(index.memoryBytes <= 48 * number) }
    }
    #expect(reserved.memoryBytes <= 48 * 200_000)
  }

  @Test("ids are listed in order, page by page, by passes of any capacity", arguments: [1, 7, 100])
  func listing(capacity: Int) {
    var generator = SeededGenerator(seed: 3)
    let ids = (0..<90).map { Self.id($0 * 5) }
    let expected = Array(Set(ids)).sorted()
    var found: [ChunkID] = []
    var after: ChunkID?
    var listing: ChunkListing?
    while true {
      if listing?.covers(after: after) != true {
        var pass = ChunkListing(after: after, capacity: capacity)
        for id in expected.shuffled(using: &generator) { pass.add(id) }
        pass.finish()
        listing = pass
      }
      guard let (page, isLast) = listing?.page(after: after, limit: 4) else { break }
      found += page
      after = page.last ?? after
      if isLast { break }
    }
    #expect(found == expected)
  }

  @Test("the list of segments survives being written down, and damage is noticed")
  func segmentList() {
    for numbers in [[], [1], [1, 2, 3, 5, 9, 10]] as [Set<UInt32>] {
      let list = SegmentList(
        numbers: numbers, open: numbers.filter { $0 % 3 == 0 }, next: 77)
      let text = list.text
      #expect(SegmentList(parsing: text) == list)
      #expect(SegmentList(parsing: text + "x") == nil)
      #expect(SegmentList(parsing: String(text.dropLast(3))) == nil)
    }
  }

  @Test("bandwidth is spread over time, and pauses too short to sleep are saved up")
  func bandwidth() {
    var limit = BandwidthLimit(bytesPerSecond: 1_000_000)
    #expect(limit.spend(5_000, now: 1_000) == nil)
    #expect(limit.spend(500_000, now: 1_000) == 505_001_000)
    #expect(limit.spend(1_000, now: 2_000_000_000) == nil)
  }
}
