import Foundation
import MetadataStore
import StoreModel
import Testing

@Suite("Database")
struct DatabaseTests {
  @Test("what was acknowledged is there after a crash at any moment")
  func crashes() async throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try await store.makeGroup()
    try await store.save(
      StoredNode(
        record: NodeRecord(id: NodeID(.max), address: "a:1", zone: "z"), heardMicroseconds: 4,
        leftMicroseconds: 3))
    var versions: [UInt64] = []
    for round in 0..<5 {
      for place in 0..<10 {
        versions.append(try await store.put("\(round)/\(place)", chunks: place % 3).version)
      }
      let crashed = try open(directory.copyAsAfterCrash())
      #expect(try await crashed.figures() == store.figures())
      #expect(try await crashed.nodes() == store.nodes())
      #expect(try await crashed.groups() == store.groups())
      let listed = try await crashed.list(ListingQuery(bucket: "b")).entries
      #expect(Set(listed.map(\.version)) == Set(versions))
      #expect(try await crashed.put("after").version > versions[versions.count - 1])
      #expect(crashed.cluster == store.cluster)
    }
  }

  @Test("a cluster keeps the identity it was made with")
  func identity() async throws {
    let directory = try TemporaryDirectory()
    let first = try open(directory, clusterBits: (0xAB, 1))
    #expect(first.cluster == "00000000000000ab0000000000000001")
    await first.close()
    let second = try open(directory.copyAsAfterCrash(), clusterBits: (7, 7))
    #expect(second.cluster == first.cluster)
  }

  @Test("a second Directory on the same data is refused, until the first is gone")
  func lock() throws {
    let directory = try TemporaryDirectory()
    do {
      let first = try open(directory)
      let error = #expect(throws: StoreError.self) { try open(directory) }
      #expect(error?.code == .preconditionFailed)
      #expect(error?.message.contains("another Directory") == true)
      withExtendedLifetime(first) {}
    }
    _ = try open(directory)
  }

  @Test("a database of a newer program is refused, and so is one of another program")
  func foreign() async throws {
    // A field of the file's header: four bytes, the highest first.
    func set(_ offset: UInt64, _ value: UInt8) async throws -> StoreError? {
      let directory = try TemporaryDirectory()
      try await open(directory).close()
      let file = try #require(FileHandle(forUpdatingAtPath: directory.databaseFile))
      try file.seek(toOffset: offset + 3)
      try file.write(contentsOf: Data([value]))
      try file.close()
      return #expect(throws: StoreError.self) { try open(directory) }
    }
    let userVersion: UInt64 = 60
    let applicationID: UInt64 = 68
    let newer = try await set(userVersion, 200)
    #expect(newer?.code == .preconditionFailed && newer?.message.contains("newer") == true)
    #expect(try await set(applicationID, 1)?.code == .preconditionFailed)
  }

  @Test("a full disk refuses writes, keeps what was written, and serves reads")
  func fullDisk() async throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory, maxBytes: 300_000)
    try await store.makeGroup()
    var stored: [String] = []
    var refusal: StoreError.Code?
    for place in 0..<1_000 where refusal == nil {
      let key = "\(place)" + String(repeating: "x", count: 900)
      refusal = await code { try await store.put(key) }
      if refusal == nil { stored.append(key) }
    }
    #expect(refusal == .resourceExhausted)
    #expect(stored.count > 50)
    for key in stored { _ = try await store.file(store.key(key)) }
    #expect(try await store.figures().entries == UInt64(stored.count))
    // Concurrent callers are refused one by one, and none takes another with it.
    let long = String(repeating: "y", count: 1_000)
    let codes = await withTaskGroup(of: StoreError.Code?.self) { group in
      for place in 0..<20 {
        group.addTask { await code { try await store.put("\(place)\(long)") } }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(codes.contains(.resourceExhausted))
    #expect(codes.allSatisfy { $0 == nil || $0 == .resourceExhausted })
    let written = UInt64(stored.count + codes.count { $0 == nil })
    #expect(try await store.figures().entries == written)
    let reopened = try open(directory.copyAsAfterCrash())
    #expect(try await reopened.figures().entries == written)
    try await reopened.put("room again")
  }

  @Test("a damaged database gives errors, not crashes")
  func damage() async throws {
    let garbage = try TemporaryDirectory()
    try Data(repeating: 0x5A, count: 8_192).write(to: URL(filePath: garbage.databaseFile))
    let error = #expect(throws: StoreError.self) { try open(garbage) }
    #expect(error?.code == .dataLoss)

    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try await store.makeGroup()
    for place in 0..<300 { try await store.put("key \(place)") }
    await store.close()
    let size = try #require(
      try FileManager.default.attributesOfItem(atPath: directory.databaseFile)[.size] as? Int)
    let copy = try directory.copyAsAfterCrash()
    let file = try #require(FileHandle(forUpdatingAtPath: copy.databaseFile))
    // Every page but those of the schema and the state.
    try file.seek(toOffset: 3 * 4_096)
    try file.write(contentsOf: Data(repeating: 0xA5, count: size - 3 * 4_096))
    try file.close()
    do {
      let damaged = try open(copy)
      #expect(await code { try await damaged.list(ListingQuery(bucket: "b")) } == .dataLoss)
      #expect(await code { try await damaged.put("new") } == .dataLoss)
    } catch {
      #expect((error as? StoreError)?.code == .dataLoss)
    }
  }

  @Test("after closing, calls fail")
  func closed() async throws {
    let store = try open(TemporaryDirectory())
    await store.close()
    #expect(await code { try await store.figures() } != nil)
    #expect(await code { try await store.makeGroup() } != nil)
  }

  @Test("two callers who want groups at once see what the other made")
  func groupsAreMadeOnce() async throws {
    let store = try openInMemory()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<20 { group.addTask { try await store.makeGroup() } }
      try await group.waitForAll()
    }
    #expect(
      try await store.groups() == [
        PlacementGroup(
          id: 1, epoch: 1, storageClass: .replica3, members: [NodeID(1), NodeID(2), NodeID(3)])
      ])
  }
}
