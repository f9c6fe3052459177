import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Deleting from several disks of which one can't be written to")
struct DiskSetDeletionTests {
  /// Two disks and the upload of a chunk that only the first one has.
  private static func open(_ disks: [MemoryDisk]) async throws -> (set: DiskSet, upload: UInt64) {
    let set = try await openSet(disks)
    for upload in 1...12 as ClosedRange<UInt64> {
      try await set.store(pattern(3_000, seed: upload), upload: upload)
    }
    let upload = try #require((1...12).first { set.places(of: $0) == [0] })
    return (set, upload)
  }

  /// Has every write of a disk fail.
  private static func fail(_ disk: MemoryDisk) {
    disk.injectFaults { call in
      [.create, .write, .sync, .reserve, .rename].contains(call.kind)
        ? StoreError(.internal, "input/output error") : nil
    }
  }

  private static func isDeleted(_ set: DiskSet, _ upload: UInt64) async -> Bool {
    await code { _ = try await set.load(upload: upload) } == .deleted
  }

  @Test("the deletion is kept on another disk, for as long as it is needed")
  func keptElsewhere() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let (set, upload) = try await Self.open(disks)
    Self.fail(disks[0])
    try await set.delete(.test(upload))
    #expect(await Self.isDeleted(set, upload))
    #expect(await code { try await set.delete(.test(upload)) } == .deleted)
    let page = try await set.list(after: nil, limit: 100)
    #expect(!page.records.map(\.chunk.id.upload).contains(upload))
    for disk in disks { disk.crash() }
    Self.fail(disks[0])
    let again = try await openSet(disks)
    #expect(await Self.isDeleted(again, upload))
    for disk in disks { disk.crash() }
    // The disk can be written to again, and says so itself from now on.
    let healed = try await openSet(disks)
    #expect(await Self.isDeleted(healed, upload))
    for disk in disks { disk.crash() }
    #expect(try await DeletionList.read(on: disks[1])?.entries.isEmpty == true)
    #expect(await Self.isDeleted(try await openSet(disks), upload))
  }

  @Test("the other disks' copies go, too")
  func allCopies() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let (set, upload) = try await Self.open(disks)
    set.disks[0].store.countAsFailing()
    await set.drain()
    #expect(set.places(of: upload) == [0, 1])
    Self.fail(disks[0])
    try await set.delete(.test(upload))
    #expect(await Self.isDeleted(set, upload))
    for disk in disks { disk.crash() }
    #expect(await Self.isDeleted(try await openSet(disks), upload))
  }

  @Test("where no disk takes it the deletion fails, and a chunk that is put again stays")
  func nowhere() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let (set, upload) = try await Self.open(disks)
    Self.fail(disks[0])
    // The other one has written the list, but doesn't know that its name is durable.
    disks[1].injectFaults { call in
      call.kind == .syncDirectory ? StoreError(.internal, "input/output error") : nil
    }
    #expect(await code { try await set.delete(.test(upload)) } == .internal)
    let bytes = pattern(3_000, seed: upload)
    #expect(try await set.load(upload: upload) == bytes)
    for disk in disks { disk.injectFaults(nil) }
    try await set.store(bytes, upload: upload)
    for disk in disks { disk.crash { _ in true } }
    #expect(try await openSet(disks).load(upload: upload) == bytes)
  }

  @Test("a chunk that is put again counts, on whichever disk", arguments: [0, 1])
  func putAgain(target: Int) async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let (set, upload) = try await Self.open(disks)
    Self.fail(disks[0])
    try await set.delete(.test(upload))
    disks[0].injectFaults(nil)
    let bytes = pattern(5_000, seed: 99)
    set.disks[1 - target].store.countAsFailing()
    try await set.store(bytes, upload: upload)
    #expect(set.places(of: upload) == [target])
    for _ in 1...3 {
      for disk in disks { disk.crash() }
      #expect(try await openSet(disks).load(upload: upload) == bytes)
    }
    for disk in disks { disk.crash() }
    let last = try await openSet(disks)
    try await last.delete(.test(upload))
    for disk in disks { disk.crash() }
    #expect(await Self.isDeleted(try await openSet(disks), upload))
  }

  @Test("a disk that can be written to again says so itself, without a restart")
  func settles() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let (set, upload) = try await Self.open(disks)
    Self.fail(disks[0])
    try await set.delete(.test(upload))
    #expect(try await DeletionList.read(on: disks[1])?.entries.count == 1)
    disks[0].injectFaults(nil)
    await set.settleDeletions()
    #expect(try await DeletionList.read(on: disks[1])?.entries.isEmpty == true)
    #expect(await Self.isDeleted(set, upload))
    for disk in disks { disk.crash() }
    #expect(await Self.isDeleted(try await openSet(disks), upload))
  }

  @Test("a deletion that one disk keeps doesn't wait for another one, which hangs")
  func besidesHanging() async throws {
    let disks = [MemoryDisk(), MemoryDisk(), MemoryDisk()]
    let (set, upload) = try await Self.open(disks)
    Self.fail(disks[0])
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await set.run() }
      while set.lists.withLock({ $0.bells.contains { $0 == nil } }) { await Task.yield() }
      let (gate, opening) = AsyncStream.makeStream(of: Void.self)
      disks[2].injectDelays { _ in for await _ in gate {} }
      try await set.delete(.test(upload))
      #expect(try await DeletionList.read(on: disks[1])?.entries.count == 1)
      #expect(disks[2].contents(of: StorePaths.deletions) == nil)
      opening.finish()
      // It gets it as soon as it answers.
      while (try? await DeletionList.read(on: disks[2]))??.entries.count != 1 {
        await Task.yield()
      }
      group.cancelAll()
    }
    for disk in disks { disk.crash() }
    #expect(await Self.isDeleted(try await openSet(disks), upload))
  }

  @Test("who waits for a list that is written by others goes on when these end")
  func endingWriters() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let (set, upload) = try await Self.open(disks)
    Self.fail(disks[0])
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await set.run() }
      while set.lists.withLock({ $0.bells.contains { $0 == nil } }) { await Task.yield() }
      group.cancelAll()
    }
    #expect(set.lists.withLock { $0.bells.allSatisfy { $0 == nil } })
    try await set.delete(.test(upload))
    #expect(try await DeletionList.read(on: disks[1])?.entries.count == 1)
  }

  @Test("a change is kept once one disk has it, and isn't once all have failed")
  func listWriting() {
    var writing = DiskSet.ListWriting(
      disks: Array(repeating: DiskSet.ListWriting.Disk(), count: 3))
    writing.want(5, on: [1, 2])
    #expect(writing.unserved(of: [0, 1, 2]) == [1, 2])
    #expect(writing.isKept(5, on: [1, 2]) == nil)
    writing.note(5, on: 1, isDurable: false)
    #expect(writing.isKept(5, on: [1, 2]) == nil)
    #expect(writing.isKept(5, on: [1]) == false)
    #expect(writing.isKept(5, on: []) == false)
    writing.note(4, on: 2, isDurable: true)
    #expect(writing.isKept(5, on: [1, 2]) == nil)
    writing.note(6, on: 2, isDurable: true)
    #expect(writing.isKept(5, on: [1, 2]) == true)
    #expect(writing.unserved(of: [0, 1, 2]).isEmpty)
  }

  @Test("cut at every call of the deletion, what was acknowledged stays deleted")
  func cuts() async throws {
    for cut in 0..<60 {
      let disks = [MemoryDisk(), MemoryDisk()]
      let (set, upload) = try await Self.open(disks)
      Self.fail(disks[0])
      disks[1].stop(atCall: disks[1].calls + cut)
      let isAcknowledged = await code { try await set.delete(.test(upload)) } == nil
      for disk in disks { disk.crash { ($0 + cut) % 3 == 0 } }
      let again = try await openSet(disks)
      let isGone = await Self.isDeleted(again, upload)
      #expect(isGone || !isAcknowledged)
      guard !isGone else { continue }
      #expect(try await again.load(upload: upload) == pattern(3_000, seed: upload))
    }
  }

  @Test(
    "what a put that failed left on a disk doesn't come back once the chunk is on another one",
    arguments: [true, false])
  func leftovers(canEndThem: Bool) async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    set.disks[1].store.countAsFailing()
    _ = try await set.statistics()
    disks[0].injectFaults { call in
      call.kind == .sync ? StoreError(.internal, "input/output error") : nil
    }
    #expect(await code { try await set.store(pattern(900, seed: 1), upload: 1) } == .internal)
    disks[0].injectFaults(nil)
    if !canEndThem { Self.fail(disks[0]) }
    set.disks[0].store.countAsFailing()
    set.disks[1].store.shell.withLock { $0.failures = WriteFailures() }
    _ = try await set.statistics()
    let bytes = pattern(5_000, seed: 2)
    try await set.store(bytes, upload: 1)
    #expect(set.places(of: 1) == [1])
    // What the sync failed on is on the disk after all.
    for disk in disks { disk.crash { _ in true } }
    let again = try await openSet(disks)
    #expect(try await again.load(upload: 1) == bytes)
    try await again.delete(.test(1))
    for disk in disks { disk.crash { _ in true } }
    #expect(await Self.isDeleted(try await openSet(disks), 1))
  }

  @Test("a damaged list is reported, and what it says of nobody's records does no harm")
  func damagedList() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let (set, upload) = try await Self.open(disks)
    await set.close()
    disks[1].corrupt("deletions") { $0 = Array("holdfast deletions 1\n".utf8) }
    let again = try await openSet(disks)
    #expect(await again.takeProblems().map(\.path) == ["disk1/deletions"])
    await again.close()
    let kill = RecordKill(
      id: .test(upload), place: RecordPlace(segment: 77, unit: 64), deletedAt: 1)
    let list = DeletionList([
      DeletionList.Entry(disk: again.disks[0].store.diskNumber, kill: kill),
      DeletionList.Entry(disk: 5, kill: kill),
    ])
    #expect(DeletionList(parsing: list.text) == list)
    disks[1].corrupt("deletions") { $0 = Array(list.text.utf8) }
    let third = try await openSet(disks)
    #expect(try await third.load(upload: upload) == pattern(3_000, seed: upload))
    #expect(try await DeletionList.read(on: disks[1])?.entries.isEmpty == true)
  }

  @Test("a deletion while a disk isn't used says that it is not known to be one, and is made again")
  func unusedDisk() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let first = try await openSet(disks)
    for upload in 1...12 as ClosedRange<UInt64> {
      try await first.store(pattern(3_000, seed: upload), upload: upload)
    }
    first.disks[1].store.countAsFailing()
    _ = try await first.statistics()
    await first.drain()
    let moved = (1...12 as ClosedRange<UInt64>).filter { first.places(of: $0) == [0, 1] }
    #expect(!moved.isEmpty)
    await first.close()
    disks[1].injectFaults { _ in StoreError(.internal, "input/output error") }
    let half = try await openSet(disks)
    for upload in moved {
      for _ in 1...2 {
        #expect(await code { try await half.delete(.test(upload)) } == .internal)
        #expect(await code { _ = try await half.load(upload: upload) } == .internal)
      }
    }
    await half.close()
    disks[1].injectFaults(nil)
    let whole = try await openSet(disks)
    for upload in moved {
      try await whole.delete(.test(upload))
      #expect(await code { _ = try await whole.load(upload: upload) } == .deleted)
    }
  }
}
