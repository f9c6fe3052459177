import MetadataStore
import StoreModel
import Testing

@Suite("Listing")
struct ListingTests {
  /// The whole listing as one would compute it without an index.
  static func naive(_ keys: [String], prefix: String, delimiter: String) -> [String] {
    var lines: Set<[UInt8]> = []
    for key in keys where key.utf8.starts(with: prefix.utf8) {
      let bytes = Array(key.utf8)
      var line = bytes
      if !delimiter.isEmpty {
        let mark = Array(delimiter.utf8)
        let places = prefix.utf8.count..<max(prefix.utf8.count, bytes.count - mark.count + 1)
        if let place = places.first(where: { bytes[$0...].starts(with: mark) }) {
          line = Array(bytes[..<(place + mark.count)])
        }
      }
      lines.insert(line)
    }
    return lines.sorted { $0.lexicographicallyPrecedes($1) }.map {
      String(decoding: $0, as: UTF8.self)
    }
  }

  @Test("every page agrees with a naive listing of the same keys", arguments: 0..<12)
  func againstModel(seed: Int) async throws {
    var bits = SeededBits(UInt64(seed))
    let store = try openInMemory()
    let letters = ["a", "b", "/", "//", "\u{E9}", "e\u{301}", "\u{10FFFF}", "-", "A", "\u{7F}"]
    var keys: Set<[UInt8]> = []
    for _ in 0..<150 {
      let key = (0...bits.next(below: 5)).map { _ in letters[bits.next(below: letters.count)] }
        .joined()
      keys.insert(Array(key.utf8))
      try await store.put(key, chunks: 0)
    }
    // Neighbours whose keys must not show.
    try await store.put("a", bucket: "a", chunks: 0)
    try await store.put("a", bucket: "c", chunks: 0)
    let all = keys.map { String(decoding: $0, as: UTF8.self) }
    for _ in 0..<60 {
      let prefix = (0..<bits.next(below: 3)).map { _ in letters[bits.next(below: letters.count)] }
        .joined()
      let delimiter = ["", "/", "a", "//", "\u{10FFFF}"][bits.next(below: 5)]
      let limit = 1 + bits.next(below: 20)
      var lines: [String] = []
      var after = ""
      while true {
        let page = try await store.list(
          ListingQuery(
            bucket: "b", prefix: prefix, delimiter: delimiter, after: after, limit: limit))
        let merged = (page.entries.map(\.name.key) + page.prefixes).sorted {
          $0.utf8.lexicographicallyPrecedes($1.utf8)
        }
        lines += merged
        #expect(merged.count <= limit)
        guard let next = page.nextAfter else { break }
        #expect(merged.count == limit && next == merged.last)
        after = next
      }
      let expected = Self.naive(all, prefix: prefix, delimiter: delimiter)
      #expect(lines.map { Array($0.utf8) } == expected.map { Array($0.utf8) })
    }
  }

  @Test("a bucket nobody wrote to is empty")
  func unknownBucket() async throws {
    #expect(try await openInMemory().list(ListingQuery(bucket: "none")) == ListingPage())
  }

  @Test("entries in a page are what was committed")
  func entries() async throws {
    let store = try openInMemory()
    try await store.makeGroup()
    let entry = try await store.put("k", chunks: 2, now: 123)
    #expect(try await store.list(ListingQuery(bucket: "b")).entries == [entry])
  }
}
