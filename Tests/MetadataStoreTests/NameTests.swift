import MetadataStore
import StoreModel
import Testing

@Suite("Names")
struct NameTests {
  @Test("a file reads back as it was committed", arguments: [0, 1, 2, 300])
  func readBack(chunks: Int) async throws {
    let store = try openInMemory()
    try await store.makeGroup()
    let entry = try await store.put("dir/k\u{E9}y", chunks: chunks, now: 77)
    let file = try await store.file(store.key("dir/k\u{E9}y"))
    #expect(file.entry == entry)
    let upload = file.manifest.chunks.first?.id.upload ?? 1
    #expect(file.manifest == manifest(upload, chunks: chunks))
    #expect(await code { try await store.file(store.key("dir")) } == .notFound)
    #expect(
      await code { try await store.file(store.key("k", bucket: "nowhere")) } == .notFound)
  }

  @Test("what is replaced or deleted becomes garbage, and groups no longer count it")
  func garbage() async throws {
    let store = try openInMemory()
    try await store.makeGroup()
    try await store.put("k", chunks: 3)
    #expect(
      try await store.figures().groups == [GroupUsage(group: 1, chunks: 3, bytes: 300)])
    let second = try await store.put("k", chunks: 1, now: 5)
    #expect(
      try await store.figures()
        == StoreFigures(
          entries: 1, bytes: 100, groups: [GroupUsage(group: 1, chunks: 1, bytes: 100)]))
    let removed = try await store.delete(
      store.key("k"), condition: .version(second.version), request: nil, now: 9)
    #expect(removed == second.version)
    #expect(
      try await store.figures()
        == StoreFigures(entries: 0, bytes: 0, groups: [GroupUsage(group: 1, chunks: 0, bytes: 0)]))
    let garbage = try await store.garbage(after: 0, limit: 10)
    #expect(garbage.map(\.sinceMicroseconds) == [5, 9])
    #expect(garbage.map { $0.chunks?.count } == [3, 1])
    #expect(try await store.garbage(after: garbage[0].upload, limit: 10).count == 1)
  }

  @Test("deleting obeys its condition")
  func deleteConditions() async throws {
    let store = try openInMemory()
    try await store.makeGroup()
    let entry = try await store.put("k")
    func delete(_ key: String, _ condition: Condition) async -> StoreError.Code? {
      await code {
        try await store.delete(store.key(key), condition: condition, request: nil, now: 0)
      }
    }
    #expect(await delete("x", .none) == .notFound)
    #expect(await delete("k", .absent) == .invalidArgument)
    #expect(await delete("k", .version(entry.version + 1)) == .preconditionFailed)
    #expect(await delete("k", .version(entry.version)) == nil)
    #expect(await delete("k", .none) == .notFound)
  }

  @Test("copies share the content until the last of them is gone", arguments: [0, 1, 3])
  func copies(chunks: Int) async throws {
    let store = try openInMemory()
    try await store.makeGroup()
    let source = try await store.put("a", chunks: chunks, now: 1)
    let copy = try await store.copy(
      store.key("a"), to: store.key("b", bucket: "other"), condition: .absent, request: nil, now: 2)
    #expect(copy.version > source.version && copy.modifiedMicroseconds == 2)
    let third = try await store.copy(
      store.key("b", bucket: "other"), to: store.key("c"), condition: .none, request: nil, now: 3)
    #expect(third.size == source.size && third.checksum == source.checksum)
    #expect(try await store.file(store.key("a")).entry == source)
    #expect(
      try await store.file(store.key("c")).manifest == store.file(store.key("a")).manifest)
    #expect(try await store.figures().groups[0].chunks == UInt64(chunks), "stored once")
    for name in [try store.key("a"), try store.key("b", bucket: "other")] {
      _ = try await store.delete(name, condition: .none, request: nil, now: 4)
      #expect(try await store.garbage(after: 0, limit: 1).isEmpty)
    }
    #expect(try await store.file(store.key("c")).manifest.chunks.count == chunks)
    try await store.put("c", chunks: 0)
    #expect(try await store.garbage(after: 0, limit: 9).count == (chunks == 0 ? 0 : 1))
    #expect(try await store.figures().groups[0].chunks == 0)
  }

  @Test("renaming moves the content, replaces the target, and obeys the condition on it")
  func renames() async throws {
    let store = try openInMemory()
    try await store.makeGroup()
    let source = try await store.put("a", chunks: 2, now: 1)
    try await store.put("b", chunks: 1)
    func rename(_ from: String, _ to: Name, _ condition: Condition) async -> StoreError.Code? {
      await code {
        try await store.rename(
          store.key(from), to: to, condition: condition, request: nil, now: 5)
      }
    }
    #expect(await rename("a", try store.key("b"), .absent) == .alreadyExists)
    #expect(await rename("x", try store.key("b"), .none) == .notFound)
    #expect(await rename("a", try store.key("a"), .absent) == .alreadyExists)
    #expect(await rename("a", try store.key("a"), .none) == nil)
    #expect(try await store.file(store.key("a")).entry == source, "onto itself changes nothing")
    #expect(await rename("a", try store.key("b"), .none) == nil)
    #expect(await code { try await store.file(store.key("a")) } == .notFound)
    let moved = try await store.file(store.key("b"))
    #expect(moved.entry.modifiedMicroseconds == 1 && moved.entry.version > source.version)
    #expect(moved.manifest.chunks.count == 2)
    #expect(try await store.garbage(after: 0, limit: 9).map { $0.chunks?.count } == [1])
    #expect(await rename("b", try store.key("b", bucket: "other"), .absent) == nil)
    #expect(try await store.figures().entries == 1)
    #expect(try await store.list(ListingQuery(bucket: "b")).entries.isEmpty)
    #expect(try await store.list(ListingQuery(bucket: "other")).entries.count == 1)
  }

  @Test("a request that is sent again has the effect and answer of the first")
  func requestKeys() async throws {
    let store = try openInMemory()
    try await store.makeGroup()
    let entry = try await store.put("a")
    let key = try RequestKey(Array(repeating: 1, count: 16))
    let other = try RequestKey(Array(repeating: 2, count: 16))
    for _ in 0..<2 {
      let version = try await store.delete(
        store.key("a"), condition: .none, request: key, now: 10)
      #expect(version == entry.version)
    }
    let misuse = await code {
      try await store.delete(store.key("b"), condition: .none, request: key, now: 10)
    }
    #expect(misuse == .preconditionFailed)
    try await store.put("a")
    let copies = try await [0, 1].async { _ in
      try await store.copy(
        store.key("a"), to: store.key("c"), condition: .absent, request: other, now: 11)
    }
    #expect(copies[0] == copies[1])
    // An hour later the first is forgotten, when others come.
    let third = try RequestKey(Array(repeating: 3, count: 16))
    _ = try await store.rename(
      store.key("c"), to: store.key("d"), condition: .none, request: third, now: 3_600_000_012)
    _ = try await store.delete(
      store.key("a"), condition: .none, request: key, now: 3_600_000_013)
    #expect(await code { try await store.file(store.key("a")) } == .notFound)
    #expect(throws: StoreError.self) { try RequestKey([1]) }
    #expect(try RequestKey([]) == nil)
  }
}

extension Array {
  /// One after the other.
  func async<Value>(_ body: (Element) async throws -> Value) async rethrows -> [Value] {
    var values: [Value] = []
    for element in self { values.append(try await body(element)) }
    return values
  }
}
