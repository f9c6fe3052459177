import MetadataStore
import StoreModel
import Testing

@Suite("Uploads")
struct UploadTests {
  @Test("leased ids follow each other and are never given twice, a restart included")
  func leases() async throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    var last: UploadID = 0
    for count in [1, 3, 1_024] as [UInt64] {
      let ids = try await store.leaseUploads(count, now: 0)
      #expect(ids.count == Int(count) && ids.lowerBound > last)
      last = ids.upperBound - 1
    }
    let crashed = try open(directory.copyAsAfterCrash())
    let after = try await crashed.leaseUploads(1, now: 1)
    #expect(after.lowerBound > last)
    #expect(await code { try await store.leaseUploads(0, now: 0) } == .invalidArgument)
    #expect(await code { try await store.leaseUploads(1_025, now: 0) } == .invalidArgument)
  }

  @Test("beginning uploads costs a transaction only once in thousands of ids")
  func leasesAreCheap() async throws {
    let store = try openInMemory()
    for _ in 0..<1_000 { _ = try await store.leaseUploads(16, now: 0) }
    #expect(await store.transactions == 1)
  }

  @Test("many callers at once get different ids out of one block")
  func concurrentLeases() async throws {
    let store = try openInMemory()
    let all = try await withThrowingTaskGroup(of: Range<UploadID>.self) { group in
      for _ in 0..<200 { group.addTask { try await store.leaseUploads(5, now: 0) } }
      return try await group.reduce(into: []) { $0 += Array($1) }
    }
    #expect(Set(all).count == 1_000 && all.max() == 1_000)
  }

  @Test("a repeated commit gives the first answer, another content is refused")
  func repeatedCommit() async throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try await store.makeGroup()
    let upload = try await store.leaseUploads(1, now: 0).lowerBound
    let commit = UploadCommit(
      upload: upload, name: try store.key("k"), manifest: manifest(upload), condition: .absent)
    let first = try await store.commitUpload(commit, now: 10)
    #expect(first.version == 1 && first.modifiedMicroseconds == 10 && first.size == 100)
    try await store.put("k")
    #expect(try await store.commitUpload(commit, now: 20) == first)
    var other = commit
    other.manifest = manifest(upload, checksum: 6)
    #expect(await code { try await store.commitUpload(other, now: 20) } == .alreadyExists)
    other = commit
    other.name = try store.key("other")
    #expect(await code { try await store.commitUpload(other, now: 20) } == .alreadyExists)
    #expect(await code { try await store.checkUpload(upload, now: 20) } == .preconditionFailed)
    #expect(await code { try await store.abortUpload(upload, now: 20) } == .preconditionFailed)
    let crashed = try open(directory.copyAsAfterCrash())
    #expect(try await crashed.commitUpload(commit, now: 30) == first)
  }

  @Test("conditions on the name hold")
  func conditions() async throws {
    let store = try openInMemory()
    try await store.makeGroup()
    let first = try await store.put("k", condition: .absent)
    #expect(await code { try await store.put("k", condition: .absent) } == .alreadyExists)
    #expect(
      await code { try await store.put("k", condition: .version(99)) } == .preconditionFailed)
    #expect(
      await code { try await store.put("new", condition: .version(1)) } == .preconditionFailed)
    let second = try await store.put("k", condition: .version(first.version))
    #expect(second.version > first.version)
    #expect(try await store.figures().entries == 1)
  }

  @Test("what was never leased, has ended or was given up is refused")
  func refusals() async throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try await store.makeGroup()
    let ids = try await store.leaseUploads(2, now: 0)
    func commit(_ store: SQLiteMetadataStore, _ upload: UploadID, now: Int64) async
      -> StoreError.Code?
    {
      await code {
        try await store.commitUpload(
          UploadCommit(upload: upload, name: store.key("k"), manifest: manifest(upload)), now: now)
      }
    }
    #expect(await commit(store, ids.upperBound, now: 0) == .notFound)
    #expect(await commit(store, 1 << 40, now: 0) == .notFound)
    #expect(await commit(store, .max, now: 0) == .notFound)
    #expect(await commit(store, 0, now: 0) == .notFound)
    try await store.abortUpload(ids.lowerBound, now: 0)
    try await store.abortUpload(ids.lowerBound, now: 0)
    #expect(await commit(store, ids.lowerBound, now: 0) == .preconditionFailed)
    let garbage = try await store.garbage(after: 0, limit: 10)
    #expect(garbage == [Garbage(upload: ids.lowerBound, sinceMicroseconds: 0, chunks: nil)])

    // After a restart the old block's leases go on, and end a day after it was closed.
    let later = try open(directory.copyAsAfterCrash())
    let day = UploadLeases.leaseMicroseconds
    _ = try await later.leaseUploads(1, now: 100)
    #expect(try await later.checkUpload(ids.upperBound - 1, now: 100) == day)
    #expect(try await later.checkUpload(ids.upperBound - 1, now: day + 99) == 1)
    #expect(await commit(later, ids.upperBound - 1, now: day + 100) == .preconditionFailed)
    // Two days later the block itself is forgotten.
    _ = try await later.leaseUploads(1, now: 2 * day)
    #expect(await commit(later, ids.upperBound - 1, now: 2 * day) == .preconditionFailed)
    #expect(await commit(later, ids.lowerBound, now: 2 * day) == .preconditionFailed)
  }

  @Test("manifests that name unknown groups are refused and change nothing")
  func unknownGroup() async throws {
    let store = try openInMemory()
    try await store.makeGroup()
    let upload = try await store.leaseUploads(1, now: 0).lowerBound
    var wrong = manifest(upload, chunks: 2)
    wrong.chunks[1].id = ChunkID(group: 2, upload: upload, index: 1)
    var otherClass = manifest(upload)
    otherClass.storageClass = .replica1
    for manifest in [wrong, otherClass] {
      let result = await code {
        try await store.commitUpload(
          UploadCommit(upload: upload, name: store.key("k"), manifest: manifest), now: 0)
      }
      #expect(result == .invalidArgument)
    }
    let figures = try await store.figures()
    #expect(figures.entries == 0 && figures.groups == [GroupUsage(group: 1, chunks: 0, bytes: 0)])
    #expect(try await store.checkUpload(upload, now: 0) > 0)
  }

  @Test("many concurrent commits share transactions, and each gets its own result")
  func groupCommit() async throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try await store.makeGroup()
    let ids = try await store.leaseUploads(400, now: 0)
    let before = await store.transactions
    let name = try store.key("same")
    let results = await withTaskGroup(of: StoreError.Code?.self) { group in
      for upload in ids {
        group.addTask {
          await code {
            // Every fourth wants the same name for itself; only one of them can have it.
            let isContender = upload % 4 == 0
            return try await store.commitUpload(
              UploadCommit(
                upload: upload, name: isContender ? name : store.key("\(upload)"),
                manifest: manifest(upload, chunks: Int(upload % 3)),
                condition: isContender ? .absent : .none), now: 0)
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(results.count { $0 == nil } == 301)
    #expect(results.count { $0 == .alreadyExists } == 99)
    #expect(try await store.figures().entries == 301)
    let transactions = await store.transactions - before
    #expect(transactions < 200, "400 commits took \(transactions) transactions")
    let crashed = try open(directory.copyAsAfterCrash())
    #expect(try await crashed.figures() == store.figures())
  }
}
