import Foundation
import MetadataStore
import StoreModel
import Testing

@Suite("Budgets")
struct BudgetTests {
  /// Bytes of the database's file after everything was worked into it.
  private func size(_ directory: TemporaryDirectory) throws -> Int {
    try #require(
      try FileManager.default.attributesOfItem(atPath: directory.databaseFile)[.size] as? Int)
  }

  @Test("a small file takes at most 128 bytes beside its name")
  func smallFiles() async throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try await store.makeGroup()
    let count = 5_000
    let now: Int64 = 1_800_000_000_000_000
    var bits = SeededBits(1)
    var names = 0
    for batch in 0..<(count / 500) {
      let ids = try await store.leaseUploads(500, now: now)
      let keys = ids.map {
        "folder-\(bits.next(below: 100))/file-\(bits.next(below: 1 << 40))-\($0)"
      }
      names += keys.reduce(0) { $0 + $1.utf8.count }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (upload, key) in zip(ids, keys) {
          group.addTask {
            _ = try await store.commitUpload(
              UploadCommit(
                upload: upload, name: store.key(key),
                manifest: manifest(upload, checksum: 0xDEAD_BEEF)),
              now: now + Int64(batch) * 1_000_000)
          }
        }
        try await group.waitForAll()
      }
    }
    await store.close()
    let perFile = (try size(directory) - names) / count
    #expect(perFile <= 128, "\(perFile) bytes a file")
  }

  @Test("a chunk takes at most 64 bytes a replica")
  func chunks() async throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try await store.makeGroup()
    await store.close()
    let before = try size(directory)
    let full = try TemporaryDirectory()
    let larger = try open(full)
    try await larger.makeGroup()
    try await larger.put("large", chunks: 50_000)
    await larger.close()
    let perChunk = (try size(full) - before) / 50_000
    #expect(perChunk <= 64, "\(perChunk) bytes a chunk")
  }
}
