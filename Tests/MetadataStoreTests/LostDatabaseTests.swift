import Foundation
import MetadataStore
import StoreModel
import Testing

/// A data directory whose database went away must not become a new, empty cluster without a word.
@Suite("A lost database")
struct LostDatabaseTests {
  private let files = FileManager.default

  /// A directory in which a Directory ran, with a file in it.
  private func used() async throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try await store.makeGroup()
    try await store.put("kept")
    await store.close()
    return directory
  }

  /// The refusal of a directory; it must leave everything but locks as it is.
  private func refusal(_ directory: TemporaryDirectory) throws -> StoreError? {
    func content() throws -> [String] {
      try files.contentsOfDirectory(atPath: directory.path).filter { !$0.hasPrefix("lock") }
        .sorted()
    }
    let before = try content()
    let error = #expect(throws: StoreError.self) { try open(directory) }
    #expect(error?.code == .preconditionFailed)
    #expect(try content() == before)
    return error
  }

  @Test("a directory without its database, or with one of no bytes, is refused until it is back")
  func lost() async throws {
    let directory = try await used()
    let backup = try directory.copyAsAfterCrash()
    try files.removeItem(atPath: directory.databaseFile)
    for _ in 0..<2 {
      let error = try refusal(directory)
      #expect(error?.message.contains("00000000000000010000000000000002") == true)
      #expect(error?.message.contains("backup") == true)
    }
    try Data().write(to: URL(filePath: directory.databaseFile))
    _ = try refusal(directory)
    try files.removeItem(atPath: directory.databaseFile)
    try files.copyItem(atPath: backup.databaseFile, toPath: directory.databaseFile)
    let store = try open(directory)
    #expect(try await store.file(store.key("kept")).entry.size == 100)
    #expect(!store.isNew)
  }

  @Test("a directory of an earlier program, whose lock is empty, is refused, too")
  func emptyLock() async throws {
    let directory = try TemporaryDirectory()
    try Data().write(to: URL(filePath: directory.path + "/lock"))
    _ = try refusal(directory)
  }

  @Test("a log without its database is no new cluster")
  func logAlone() async throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try await store.makeGroup()
    let crashed = try directory.copyAsAfterCrash()
    for file in ["lock", SQLiteMetadataStore.fileName] {
      try files.removeItem(atPath: crashed.path + "/" + file)
    }
    _ = try refusal(crashed)
    await store.close()
  }

  @Test("a database without its tables, as one copied without its log, is refused")
  func withoutTables() async throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    let crashed = try directory.copyAsAfterCrash()
    try files.removeItem(atPath: crashed.databaseFile + "-wal")
    let error = #expect(throws: StoreError.self) { try open(crashed) }
    #expect(error?.code == .preconditionFailed)
    await store.close()
  }

  @Test("a first start that was cut short anywhere is taken up by the next")
  func unfinished() async throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    #expect(store.isNew)
    let made = try directory.copyAsAfterCrash()
    await store.close()
    // As before the last step: everything is there, but not under the name that is relied on.
    try files.moveItem(atPath: made.path + "/lock", toPath: made.path + "/lock.new")
    let again = try open(made, clusterBits: (7, 7))
    #expect(again.cluster == store.cluster && !again.isNew)
    await again.close()
    // As after the first steps: a lock, and perhaps an empty file.
    for hasFile in [true, false] {
      let early = try TemporaryDirectory()
      try Data("000".utf8).write(to: URL(filePath: early.path + "/lock.new"))
      if hasFile { try Data().write(to: URL(filePath: early.databaseFile)) }
      let fresh = try open(early, clusterBits: (7, 7))
      #expect(fresh.isNew)
      #expect(throws: StoreError.self) { try open(early) }
      await fresh.close()
    }
  }

  @Test("the database of another cluster is refused, until the lock that says so is removed")
  func otherCluster() async throws {
    let directory = try await used()
    let other = try TemporaryDirectory()
    try await open(other, clusterBits: (7, 7)).close()
    try files.removeItem(atPath: directory.databaseFile)
    try files.copyItem(atPath: other.databaseFile, toPath: directory.databaseFile)
    let error = #expect(throws: StoreError.self) { try open(directory) }
    #expect(error?.code == .preconditionFailed)
    for half in ["00000000000000010000000000000002", "00000000000000070000000000000007"] {
      #expect(error?.message.contains(half) == true)
    }
    try files.removeItem(atPath: directory.path + "/lock")
    #expect(try open(directory).cluster == "00000000000000070000000000000007")
  }

  @Test("of many Directories that start on a new directory at once, one does")
  func race() async throws {
    let directory = try TemporaryDirectory()
    let stores = await withTaskGroup(of: SQLiteMetadataStore?.self) { group in
      for _ in 0..<8 { group.addTask { try? open(directory) } }
      return await group.reduce(into: []) { if let store = $1 { $0.append(store) } }
    }
    #expect(stores.count == 1)
    #expect(throws: StoreError.self) { try open(directory) }
  }
}
