import NIOCore
import SeededExecution
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Moving chunks off a failing disk")
struct DiskSetDrainTests {
  private static let uploads = 1...12 as ClosedRange<UInt64>

  /// Two disks with chunks on both, of which the first one is taken for failing.
  private static func half(_ disks: [MemoryDisk]) async throws -> DiskSet {
    let set = try await openSet(disks)
    for upload in uploads { try await set.store(pattern(3_000, seed: upload), upload: upload) }
    set.disks[0].store.countAsFailing()
    _ = try await set.statistics()
    return set
  }

  /// Damages a chunk's record on a disk.
  private static func spoil(_ upload: UInt64, on disk: MemoryDisk, of store: SegmentStore) throws {
    let place = try #require(store.place(upload: upload))
    disk.corrupt(StorePaths.segment(place.segment)) { $0[place.offset + 2_000] ^= 1 }
  }

  @Test("a disk that hangs keeps no more chunks on the one that fails than were on their way to it")
  func besidesHanging() async throws {
    let disks = [MemoryDisk(), MemoryDisk(), MemoryDisk()]
    let clock = HandClock()
    let set = try await openSet(disks, clock: clock)
    for upload in 1...60 as ClosedRange<UInt64> {
      try await set.store(pattern(3_000, seed: upload), upload: upload)
    }
    let here = (1...60).filter { set.places(of: $0) == [0] }
    #expect(here.count > 10)
    set.disks[0].store.countAsFailing()
    let (gate, opening) = AsyncStream.makeStream(of: Void.self)
    disks[1].injectDelays { call in
      if call.kind == .sync { for await _ in gate {} }
    }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await set.run() }
      while here.count(where: { !set.isSafe(.test($0)) }) > ChunkMoves.mostToOne {
        await Task.yield()
      }
      opening.finish()
      while !here.allSatisfy({ set.isSafe(.test($0)) }) { await Task.yield() }
      group.cancelAll()
    }
  }

  @Test("what hangs while a disk settles what was deleted keeps the others from nothing")
  func besidesSettling() async throws {
    let disks = [MemoryDisk(), MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    for upload in 1...30 as ClosedRange<UInt64> {
      try await set.store(pattern(3_000, seed: upload), upload: upload)
    }
    // The second one has to say itself what others keep for it, and hangs.
    disks[1].injectFaults { call in
      call.kind == .write ? StoreError(.internal, "input/output error") : nil
    }
    let deleted = try #require((1...30).first { set.places(of: $0) == [1] })
    try await set.delete(.test(deleted))
    disks[1].injectFaults(nil)
    let (gate, opening) = AsyncStream.makeStream(of: Void.self)
    disks[1].injectDelays { call in
      if call.kind == .sync { for await _ in gate {} }
    }
    set.disks[0].store.countAsFailing()
    let here = (1...30).filter { set.places(of: $0) == [0] }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await set.run() }
      while here.count(where: { !set.isSafe(.test($0)) }) > ChunkMoves.mostToOne {
        await Task.yield()
      }
      opening.finish()
      while !set.deletions.withLock(\.entries).isEmpty { await Task.yield() }
      group.cancelAll()
    }
  }

  @Test(
    "few are moved at a time, fewer to one disk, and those to a silent disk keep no others waiting")
  func movesAtOnce() {
    var moves = ChunkMoves()
    moves.beginRound()
    moves.look(at: (1...9).map { .test($0) })
    for (upload, target) in zip(1...4 as ClosedRange<UInt64>, [1, 1, 2, 3]) {
      #expect(moves.mayBegin(to: target, silent: []))
      moves.begin(.test(upload), to: target)
    }
    #expect((1...4).allSatisfy { !moves.mayBegin(to: $0, silent: []) })
    #expect((1...4).filter { moves.mayBegin(to: $0, silent: [1]) } == [2, 3, 4])
    moves.end(.test(3), isMoved: true)
    #expect((1...4).filter { moves.mayBegin(to: $0, silent: []) } == [2, 3, 4])
    #expect(moves.isUnderWay(.test(4)) && !moves.isUnderWay(.test(3)))
    moves.leave()
    moves.look(at: [])
    #expect(moves.isAtEnd)
    #expect([moves.moved, moves.left] == [1, 1])
  }

  @Test("where nothing can be moved it is tried less and less often, down to once in ten minutes")
  func pauses() {
    var moves = ChunkMoves()
    moves.beginRound()
    moves.look(at: [.test(1), .test(2)])
    moves.leave()
    var pause = moves.pause(after: DiskSet.drainPause)
    #expect(pause == 2 * DiskSet.drainPause)
    for _ in 1...10 { pause = moves.pause(after: pause) }
    #expect(pause == 60 * DiskSet.drainPause)
    moves.begin(.test(2), to: 1)
    moves.end(.test(2), isMoved: true)
    #expect(moves.pause(after: pause) == DiskSet.drainPause)
  }

  @Test("a copy that was damaged since is no reason to leave a chunk on the disk that fails")
  func damagedCopy() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await Self.half(disks)
    await set.drain()
    let moved = Self.uploads.filter { set.places(of: $0) == [0, 1] }
    #expect(!moved.isEmpty)
    for upload in moved {
      try Self.spoil(upload, on: disks[1], of: set.disks[1].store)
      // Once that is known, it is read from the disk that fails, and wanted from others as well.
      #expect(await code { _ = try await set.load(upload: upload) } == .dataLoss)
      #expect(try await set.load(upload: upload) == pattern(3_000, seed: upload))
      #expect(await set.damagedChunks().contains(.test(upload)))
    }
    await set.drain()
    disks[0].injectFaults { _ in StoreError(.internal, "the disk is gone") }
    for upload in moved {
      #expect(try await set.load(upload: upload) == pattern(3_000, seed: upload))
    }
  }

  @Test("a damaged copy of a chunk that another disk has whole goes, once that was read")
  func uselessCopy() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let first = try await Self.half(disks)
    await first.drain()
    let twice = Self.uploads.filter { first.places(of: $0) == [0, 1] }
    #expect(twice.count > 1)
    await first.close()
    let set = try await openSet(disks)
    for upload in twice {
      try Self.spoil(upload, on: disks[0], of: set.disks[0].store)
      #expect(try await set.disks[0].store.soundHeader(of: .test(upload)) == nil)
    }
    // Of one the other copy is damaged, too: then each stays.
    let lost = try #require(twice.first)
    try Self.spoil(lost, on: disks[1], of: set.disks[1].store)
    await set.endDamagedCopies()
    #expect(set.places(of: lost) == [0, 1])
    for upload in twice.dropFirst() { #expect(set.places(of: upload) == [1]) }
    for disk in disks { disk.crash() }
    let again = try await openSet(disks)
    for upload in twice.dropFirst() {
      #expect(again.places(of: upload) == [1])
      #expect(try await again.load(upload: upload) == pattern(3_000, seed: upload))
    }
  }

  @Test("a chunk that is deleted while it is moved stays deleted")
  func deletion() throws {
    for seed in 0..<100 as Range<UInt64> {
      try SeededRun.run(seed: seed) {
        let disks = [MemoryDisk(), MemoryDisk()]
        let set = try await Self.half(disks)
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask { await set.drain() }
          for upload in Self.uploads { group.addTask { try await set.delete(.test(upload)) } }
          try await group.waitForAll()
        }
        for upload in Self.uploads {
          #expect(await code { _ = try await set.load(upload: upload) } == .deleted)
        }
        for disk in disks { disk.crash() }
        let again = try await openSet(disks)
        for upload in Self.uploads {
          #expect(await code { _ = try await again.load(upload: upload) } == .deleted)
        }
      }
    }
  }

  @Test("a put of a chunk that is moved finds it, or that it has other content")
  func put() throws {
    for seed in 0..<100 as Range<UInt64> {
      try SeededRun.run(seed: seed) {
        let set = try await Self.half([MemoryDisk(), MemoryDisk()])
        await withTaskGroup(of: Void.self) { group in
          group.addTask { await set.drain() }
          for upload in Self.uploads {
            let isSame = upload % 2 == 0
            group.addTask {
              let bytes = pattern(3_000, seed: isSame ? upload : upload + 1)
              let result = await code { try await set.store(bytes, upload: upload) }
              #expect(result == (isSame ? nil : .alreadyExists))
            }
          }
        }
        for upload in Self.uploads {
          #expect(try await set.load(upload: upload) == pattern(3_000, seed: upload))
          #expect(set.places(of: upload).contains(1))
        }
      }
    }
  }

  @Test("of two chunks with one id, put at once, one is stored, on one disk")
  func twoPuts() throws {
    for seed in 0..<100 as Range<UInt64> {
      try SeededRun.run(seed: seed) {
        let set = try await openSet([MemoryDisk(), MemoryDisk()])
        let results = await withTaskGroup(of: StoreError.Code?.self) { group in
          for seed in 1...2 as ClosedRange<UInt64> {
            group.addTask {
              await code { try await set.store(pattern(3_000, seed: seed), upload: 1) }
            }
          }
          return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.contains(nil) && results.contains(.alreadyExists))
        #expect(set.places(of: 1).count == 1)
      }
    }
  }

  @Test("a copy that mends a chunk doesn't bring back one that was deleted from another disk")
  func mending() async throws {
    let set = try await openSet([MemoryDisk(), MemoryDisk()])
    let bytes = pattern(3_000, seed: 1)
    let record = try await set.store(bytes, upload: 1)
    let holder = try #require(set.places(of: 1).first)
    set.disks[holder].store.countAsFailing()
    let copy = try await set.beginPut(record.chunk)
    try await copy.append(ByteBuffer(bytes: bytes))
    try await set.delete(.test(1))
    #expect(await code { _ = try await copy.mend(checksum: record.checksum) } == .deleted)
    await copy.cancel()
    #expect(await code { _ = try await set.load(upload: 1) } == .deleted)
    // A disk that remembers an older deletion takes a copy of what was put again since.
    let other = 1 - holder
    try await set.store(bytes, upload: 1)
    #expect(set.places(of: 1) == [other])
    try await set.delete(.test(1))
    _ = try await set.disks[holder].store.store(bytes, upload: 1)
    let again = try await set.beginPut(record.chunk)
    try await again.append(ByteBuffer(bytes: bytes))
    _ = try await again.mend(checksum: record.checksum)
    #expect(set.places(of: 1) == [0, 1])
  }

  @Test(
    "what can't be read is passed over, and moved when it can be",
    arguments: [StoreError.Code.internal, .dataLoss])
  func unreadable(error: StoreError.Code) async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    for upload in Self.uploads {
      try await set.store(pattern(60_000, seed: upload), upload: upload)
    }
    let store = set.disks[0].store
    let here = Self.uploads.filter { set.places(of: $0) == [0] }
    let segment = try #require(here.first.flatMap { store.place(upload: $0) }).segment
    let bad = here.filter { store.place(upload: $0)?.segment == segment }
    #expect(bad.count < here.count)
    store.countAsFailing()
    let path = StorePaths.segment(segment)
    disks[0].injectFaults { call in
      call.kind == .read && call.path == path ? StoreError(error, "input/output error") : nil
    }
    if error == .dataLoss {
      for upload in bad {
        guard let place = store.place(upload: upload) else { continue }
        store.noteDamage(.test(upload), at: place, "input/output error")
      }
    }
    await set.drain()
    for upload in here {
      #expect(set.places(of: upload) == (bad.contains(upload) ? [0] : [0, 1]))
    }
    disks[0].injectFaults(nil)
    await set.drain()
    for upload in here {
      #expect(set.places(of: upload) == [0, 1])
      #expect(try await set.load(upload: upload) == pattern(60_000, seed: upload))
    }
  }
}
