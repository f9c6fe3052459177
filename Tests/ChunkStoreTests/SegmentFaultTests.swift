import Checksum
import NIOCore
import SeededExecution
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Chunk store under faults")
struct SegmentFaultTests {
  /// The only segment's file.
  private static func segment(_ disk: MemoryDisk) throws -> String {
    try #require(disk.files.first { $0.hasSuffix(".segment") })
  }

  /// A disk with one chunk on it, of upload 1, whose store is closed or was cut off.
  private static func diskWithChunk(
    _ bytes: [UInt8], sealed: Bool = true
  ) async throws -> MemoryDisk {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store(bytes, upload: 1)
    if sealed {
      await store.close()
    } else {
      // A second record says that the first was durable.
      try await store.store([1], upload: 2)
      disk.crash()
    }
    return disk
  }

  @Test(
    "a bit that flips anywhere in a chunk's record is noticed, never served",
    arguments: [3_000, 140_000])
  func bitRot(length: Int) async throws {
    let bytes = pattern(length, seed: 1)
    let chunk = try newChunk(1, bytes: bytes)
    let header = RecordHeader.bytes(for: chunk, isAligned: length > Segment.maxGatheredBytes)
    let start = SegmentHeader.bytes
    for place in [0, 4, 8, 12, 16, 24, 48, 56, 84, 88, header, header + length / 2] {
      for isSealed in [true, false] {
        let disk = try await Self.diskWithChunk(bytes, sealed: isSealed)
        disk.corrupt(try Self.segment(disk)) { $0[start + place] ^= 0x10 }
        let store = try await openStore(disk)
        let found = await code { _ = try await store.load(upload: 1) }
        // A header that can't be read in a segment without a checkpoint is that of no chunk.
        #expect(found == (isSealed || place >= header ? .dataLoss : .notFound), "at \(place)")
        #expect(await !store.takeProblems().isEmpty)
        if found == .dataLoss {
          #expect(await store.chunksAtRisk().map(\.upload) == [1])
        }
        try await store.store(bytes, upload: 1)
        #expect(try await store.load(upload: 1) == bytes, "at \(place)")
        disk.crash()
        let again = try await openStore(disk)
        #expect(try await again.load(upload: 1) == bytes, "at \(place)")
        #expect(await again.chunksAtRisk().isEmpty)
      }
    }
  }

  @Test("a bad block spares the others")
  func badBlock() async throws {
    let bytes = pattern(300_000, seed: 1)
    let disk = try await Self.diskWithChunk(bytes)
    disk.corrupt(try Self.segment(disk)) { $0[2 * 4_096 + 70_000] ^= 1 }
    let store = try await openStore(disk)
    try await store.withChunk(ChunkID(group: 7, upload: 1, index: 0)) { reader in
      #expect(
        Array((try await reader.read(blocks: 0..<1)).bytes.readableBytesView)
          == Array(bytes[..<65_536]))
      #expect(await code { _ = try await reader.read(blocks: 0..<2) } == .dataLoss)
      let rest = try await reader.read(blocks: 2..<5)
      #expect(rest.offset == 131_072)
      #expect(Array(rest.bytes.readableBytesView) == Array(bytes[131_072...]))
    }
    #expect(store.leftovers().isEmpty)
  }

  @Test(
    "what a failed sync left in the system's memory is not believed when its chunk is put again")
  func doubtfulAfterRestart() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store([1], upload: 1)
    disk.injectFaults {
      $0.kind == .sync ? StoreError(.internal, "input/output error") : nil
    }
    #expect(await code { try await store.store([2, 3], upload: 2) } == .internal)
    // The process ends, the system goes on: the next process reads what no disk has.
    disk.restart()
    let next = try await openStore(disk)
    #expect(try await next.load(upload: 2) == [2, 3])
    try await next.store([2, 3], upload: 2)
    disk.crash()
    let last = try await openStore(disk)
    #expect(try await last.load(upload: 2) == [2, 3])
    #expect(try await last.load(upload: 1) == [1])
  }

  @Test(
    "what a failed sync left in the system's memory outlives a power cut once a store has opened on it",
    arguments: [false, true])
  func doubtfulIsSettled(isClosed: Bool) async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store([1], upload: 1)
    try await store.store([7], upload: 7)
    let isArmed = Mutex(true)
    disk.injectFaults { call in
      guard call.kind == .sync, call.path.hasSuffix(".segment") else { return nil }
      return isArmed.withLock { $0 } ? StoreError(.internal, "input/output error") : nil
    }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { _ = try? await store.store([2, 3], upload: 2) }
      group.addTask { _ = try? await store.delete(ChunkID(group: 7, upload: 7, index: 0)) }
    }
    isArmed.withLock { $0 = false }
    // The process ends, the system goes on.
    disk.restart()
    let next = try await openStore(disk)
    let isThere = await code { _ = try await next.load(upload: 2) } == nil
    let isDeleted = await code { _ = try await next.load(upload: 7) } == .deleted
    #expect(isThere || isDeleted)
    if isClosed { await next.close() }
    disk.crash()
    let last = try await openStore(disk)
    #expect(try await last.load(upload: 1) == [1])
    #expect(await code { _ = try await last.load(upload: 2) } == (isThere ? nil : .notFound))
    #expect(await code { _ = try await last.load(upload: 7) } == (isDeleted ? .deleted : nil))
  }

  @Test("missing, damaged and deleted are different answers, before and after a restart")
  func answers() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for upload in 1...3 as ClosedRange<UInt64> {
      try await store.store(pattern(5_000, seed: upload), upload: upload)
    }
    try await store.delete(ChunkID(group: 7, upload: 2, index: 0))
    let place = try #require(store.place(upload: 3))
    await store.close()
    disk.corrupt(StorePaths.segment(place.segment)) { $0[place.offset + 4_000] ^= 1 }
    let again = try await openStore(disk)
    #expect(try await again.load(upload: 1) == pattern(5_000, seed: 1))
    #expect(await code { _ = try await again.load(upload: 2) } == .deleted)
    #expect(await code { _ = try await again.load(upload: 3) } == .dataLoss)
    #expect(await code { _ = try await again.load(upload: 4) } == .notFound)
    #expect(try await again.list(after: nil, limit: 9).records.map(\.chunk.id.upload) == [1])
  }

  @Test("a zero-filled tail, stale bytes and a record in the wrong place are no records")
  func staleBytes() async throws {
    let bytes = pattern(3_000, seed: 1)
    let disk = try await Self.diskWithChunk(bytes, sealed: false)
    let path = try Self.segment(disk)
    disk.corrupt(path) { file in
      let record = Array(file[4_096..<4_096 + 3_200])
      file.replaceSubrange(40_960..<40_960 + record.count, with: record)
      for place in 81_920..<90_000 { file[place] = 0xA5 }
    }
    let store = try await openStore(disk)
    // Something may have been lost there.
    #expect(await store.takeProblems().map(\.message).allSatisfy { $0.contains("byte 40960") })
    #expect(try await store.load(upload: 1) == bytes)
    #expect(try await store.statistics().chunks == 2)
    try await store.store(bytes, upload: 9)
    #expect(try await store.load(upload: 9) == bytes)
  }

  @Test("with a damaged or missing checkpoint the segment is read whole")
  func damagedCheckpoint() async throws {
    let bytes = pattern(3_000, seed: 1)
    for damage in 0..<4 {
      let disk = try await Self.diskWithChunk(bytes)
      disk.corrupt(try Self.segment(disk)) { file in
        switch damage {
        case 0: file[file.count - 4_096] ^= 1
        case 1: file[file.count - 2 * 4_096] ^= 1
        case 2: file.removeLast(4_096)
        default: file += [UInt8](repeating: 0, count: 70_000)
        }
      }
      let store = try await openStore(disk)
      #expect(try await store.load(upload: 1) == bytes, "damage \(damage)")
      await store.upkeepAll()
      await store.close()
      let again = try await openStore(disk)
      // What its end told of may be lost.
      let marks = await again.takeProblems().map(\.path)
      #expect(marks == (damage < 2 ? [] : ["segments/00000001.segment.lost"]), "damage \(damage)")
      #expect(try await again.load(upload: 1) == bytes, "damage \(damage)")
    }
  }

  @Test("a missing segment, a foreign one and foreign files are reported; the rest is served")
  func foreignFiles() async throws {
    let disk = MemoryDisk()
    for upload in 1...3 as ClosedRange<UInt64> {
      let store = try await openStore(disk)
      try await store.store(pattern(3_000, seed: upload), upload: upload)
      await store.close()
    }
    let files = disk.files.filter { $0.hasSuffix(".segment") }
    #expect(files.count == 3)
    try await disk.remove(files[0])
    let other = try await Self.diskWithChunk(pattern(500, seed: 9))
    let foreign = try #require(other.contents(of: try Self.segment(other)))
    disk.corrupt("segments/000000ff.segment") { $0 = foreign }
    disk.corrupt("segments/notes.txt") { $0 = [1] }
    disk.corrupt("segments/list") { $0 += [1] }
    let store = try await openStore(disk)
    let problems = await store.takeProblems().map(\.path)
    #expect(problems.contains("segments/000000ff.segment"))
    #expect(problems.contains("segments/notes.txt"))
    #expect(problems.contains("segments/list"))
    #expect(await code { _ = try await store.load(upload: 1) } == .notFound)
    for upload in 2...3 as ClosedRange<UInt64> {
      #expect(try await store.load(upload: upload) == pattern(3_000, seed: upload))
    }
    await store.close()
    try await disk.remove(files[1])
    let again = try await openStore(disk)
    #expect(await again.takeProblems().map(\.path).contains(files[1]))
    #expect(try await again.load(upload: 3) == pattern(3_000, seed: 3))
    try await again.store([1], upload: 77)
  }

  @Test("a segment of a newer version is refused, by name")
  func newerSegment() async throws {
    let disk = try await Self.diskWithChunk([1, 2, 3])
    disk.corrupt(try Self.segment(disk)) { file in
      file[8] = 3
      let checksum = CRC32C.checksum(of: Array(file[..<32]))
      withUnsafeBytes(of: checksum.littleEndian) { file.replaceSubrange(32..<36, with: $0) }
    }
    #expect(await code { _ = try await openStore(disk) } == .preconditionFailed)
  }

  @Test(
    "after a failed sync nothing of it is acknowledged, its segment is left, its chunks are moved")
  func failedSync() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store(pattern(5_000, seed: 1), upload: 1)
    let old = try #require(store.place(upload: 1))
    let isArmed = Mutex(true)
    disk.injectFaults { call in
      guard call.kind == .sync, call.path.hasSuffix(".segment") else { return nil }
      let fails = isArmed.withLock { armed in
        defer { armed = false }
        return armed
      }
      return fails ? StoreError(.internal, "input/output error") : nil
    }
    #expect(await code { try await store.store([1, 2], upload: 2) } == .internal)
    #expect(await store.chunksAtRisk().map(\.upload) == [1])
    #expect(await store.takeProblems().count == 1)
    try await store.store([3, 4, 5], upload: 2)
    await store.upkeepAll()
    #expect(await store.chunksAtRisk().isEmpty)
    #expect(try #require(store.place(upload: 1)).segment > old.segment)
    #expect(disk.contents(of: StorePaths.segment(old.segment)) == nil)
    disk.crash { _ in true }
    let again = try await openStore(disk)
    #expect(try await again.load(upload: 1) == pattern(5_000, seed: 1))
    #expect(try await again.load(upload: 2) == [3, 4, 5])
  }

  @Test(
    "what a failed sync left on disk does not come back when its chunk was stored anew, or deleted",
    arguments: [false, true])
  func ghost(isDeleted: Bool) async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store([9], upload: 9)
    let failing = disk.calls + 1
    disk.injectFaults { $0.number == failing ? StoreError(.internal, "input/output error") : nil }
    #expect(await code { try await store.store([1, 2], upload: 1) } == .internal)
    try await store.store([3, 4, 5], upload: 1)
    if isDeleted { try await store.delete(ChunkID(group: 7, upload: 1, index: 0)) }
    disk.crash { _ in true }
    let again = try await openStore(disk)
    if isDeleted {
      #expect(await code { _ = try await again.load(upload: 1) } == .deleted)
    } else {
      #expect(try await again.load(upload: 1) == [3, 4, 5])
    }
    #expect(try await again.load(upload: 9) == [9])
  }

  @Test("a failed segment with two records of a chunk is emptied, and nobody waits for ever")
  func failedWithTwoRecords() throws {
    try SeededRun.run(seed: 1) {
      let disk = MemoryDisk()
      let store = try await openStore(disk)
      try await store.store(pattern(500, seed: 1), upload: 1)
      try await store.delete(ChunkID(group: 7, upload: 1, index: 0))
      try await store.store(pattern(600, seed: 2), upload: 1)
      let failing = disk.calls + 1
      disk.injectFaults { $0.number == failing ? StoreError(.internal, "input/output error") : nil }
      #expect(await code { try await store.store([1], upload: 2) } == .internal)
      await store.upkeepAll()
      #expect(await store.chunksAtRisk().isEmpty)
      #expect(try await store.load(upload: 1) == pattern(600, seed: 2))
    }
  }

  @Test("a full disk refuses puts; deleting and compacting make room again")
  func fullDisk() async throws {
    let disk = MemoryDisk(capacityBytes: 2 << 20)
    let store = try await openStore(disk, segmentBytes: 256 << 10)
    var stored: [UInt64] = []
    for upload in 1...400 as ClosedRange<UInt64> {
      let outcome = await code {
        try await store.store(pattern(9_000, seed: upload), upload: upload)
      }
      if outcome == .resourceExhausted { break }
      #expect(outcome == nil)
      stored.append(upload)
    }
    #expect(stored.count > 100)
    #expect(await code { try await store.store(pattern(300_000, seed: 1), upload: 999) } != nil)
    for upload in stored where upload % 2 == 0 {
      try await store.delete(ChunkID(group: 7, upload: upload, index: 0))
    }
    await store.upkeepAll()
    for upload in 1_001...1_040 as ClosedRange<UInt64> {
      try await store.store(pattern(9_000, seed: upload), upload: upload)
    }
    for upload in stored where upload % 2 == 1 {
      #expect(try await store.load(upload: upload) == pattern(9_000, seed: upload))
    }
    #expect(store.leftovers().isEmpty)
  }

  @Test(
    "compaction keeps what counts, removes the segment, and leaves what is damaged to be mended")
  func compaction() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk, segmentBytes: 128 << 10)
    for upload in 1...20 as ClosedRange<UInt64> {
      try await store.store(pattern(9_000, seed: upload), upload: upload)
    }
    let place = try #require(store.place(upload: 3))
    disk.corrupt(StorePaths.segment(place.segment)) { $0[place.offset + 5_000] ^= 1 }
    for upload in 4...10 as ClosedRange<UInt64> {
      try await store.delete(ChunkID(group: 7, upload: upload, index: 0))
    }
    await store.upkeepAll()
    #expect(await code { _ = try await store.load(upload: 3) } == .dataLoss)
    #expect(disk.contents(of: StorePaths.segment(place.segment)) != nil)
    #expect(try #require(store.place(upload: 1)).segment > place.segment)
    try await store.store(pattern(9_000, seed: 3), upload: 3)
    await store.upkeepAll()
    #expect(disk.contents(of: StorePaths.segment(place.segment)) == nil)
    disk.crash()
    let again = try await openStore(disk, segmentBytes: 128 << 10)
    for upload in 1...20 as ClosedRange<UInt64> {
      let isThere = !(4...10).contains(upload)
      #expect(
        await code { _ = try await again.load(upload: upload) } == (isThere ? nil : .deleted))
    }
  }

  @Test(
    "a chunk that was moved and deleted stays deleted, though its old segment is still there",
    arguments: [9_000, 100_000], [false, true])
  func movedAndDeleted(length: Int, survives: Bool) async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk, segmentBytes: 512 << 10)
    for upload in 1...8 as ClosedRange<UInt64> {
      try await first.store(pattern(length, seed: upload), upload: upload)
    }
    await first.close()
    let store = try await openStore(disk, segmentBytes: 512 << 10)
    let old = try #require(store.place(upload: 1))
    let damaged = try #require(store.place(upload: 2))
    // The damaged one keeps the segment.
    disk.corrupt(StorePaths.segment(damaged.segment)) { $0[damaged.offset + length / 2] ^= 1 }
    await store.compact(old.segment)
    #expect(store.place(upload: 1)?.segment != old.segment)
    #expect(disk.contents(of: StorePaths.segment(old.segment)) != nil)
    try await store.delete(ChunkID(group: 7, upload: 1, index: 0))
    // Where all survives, so does room that was given back.
    disk.crash { _ in survives }
    let again = try await openStore(disk, segmentBytes: 512 << 10)
    #expect(await code { _ = try await again.load(upload: 1) } == .deleted)
    #expect(await code { _ = try await again.load(upload: 2) } == .dataLoss)
    #expect(try await again.load(upload: 3) == pattern(length, seed: 3))
  }

  @Test("verification finds what nobody reads, remembers when, and goes on after a restart")
  func scrub() async throws {
    let disk = try await Self.diskWithChunk(pattern(5_000, seed: 1))
    let store = try await openStore(disk)
    let number = try #require(store.segmentToScrub())
    try await store.scrub(number)
    #expect(store.segmentToScrub() == nil)
    #expect(store.shell.withLock { $0.verifiedAt[number] } == StillClock().wallSeconds)
    #expect(await store.chunksAtRisk().isEmpty)
    await store.close()
    let check = try await StoreCheck.run(on: disk)
    #expect(check.verifiedSegments == 1 && check.segments == 1)
    #expect(check.oldestVerification == StillClock().wallSeconds)
    let late = StillClock(wallSeconds: StillClock().wallSeconds + 8 * 24 * 3_600)
    let again = try await openStore(disk, clock: late)
    #expect(again.shell.withLock { $0.verifiedAt[number] } == StillClock().wallSeconds)
    disk.corrupt(try Self.segment(disk)) { $0[4_096 + 2_000] ^= 1 }
    #expect(again.segmentToScrub() == number)
    try await again.scrub(number)
    #expect(await again.chunksAtRisk().map(\.upload) == [1])
  }

  @Test("a put that is cancelled leaves nothing", arguments: [5_000, 300_000, 2_000_000])
  func cancelled(length: Int) async throws {
    let store = try await openStore(MemoryDisk())
    let bytes = pattern(length, seed: 1)
    let put = try await store.beginPut(try newChunk(1, bytes: bytes))
    try await put.append(ByteBuffer(bytes: bytes.dropLast(5)))
    await put.cancel()
    #expect(store.leftovers().isEmpty)
    #expect(await code { try await put.append(ByteBuffer(bytes: [1])) } == .internal)
    #expect(await code { _ = try await store.load(upload: 1) } == .notFound)
  }

  @Test("many writers share syncs")
  func groupCommit() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store([1], upload: 1_000)
    let syncs = Mutex(0)
    disk.injectFaults { call in
      if call.kind == .sync { syncs.withLock { $0 += 1 } }
      return nil
    }
    await withTaskGroup(of: Void.self) { group in
      for upload in 1...64 as ClosedRange<UInt64> {
        group.addTask { _ = try? await store.store([UInt8(upload)], upload: upload) }
      }
    }
    #expect(try await store.statistics().chunks == 65)
    #expect(syncs.withLock { $0 } < 40)
  }

  @Test("a check says what is wrong, and changes nothing")
  func check() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for upload in 1...4 as ClosedRange<UInt64> {
      try await store.store(pattern(5_000, seed: upload), upload: upload)
    }
    try await store.delete(ChunkID(group: 7, upload: 4, index: 0))
    #expect(await code { _ = try await StoreCheck.run(on: disk) } == .preconditionFailed)
    await store.close()
    let sound = try await StoreCheck.run(on: disk)
    #expect(sound.isSound)
    #expect(sound.chunks == 3)
    #expect(sound.deadRecords == 1)
    let place = RecordPlace(segment: 1, unit: 64)
    disk.corrupt(StorePaths.segment(1)) { $0[place.offset + 1_000] ^= 1 }
    let calls = disk.files
    let damaged = try await StoreCheck.run(on: disk)
    #expect(!damaged.isSound)
    let found = try #require(damaged.damaged.first)
    #expect(damaged.damaged.count == 1)
    #expect(found.path == StorePaths.segment(1) && found.offset == place.offset)
    #expect(disk.files == calls)
    var records = 0
    try await SegmentDump.run(StorePaths.segment(1), on: disk) { item in
      if case .record = item { records += 1 }
    }
    #expect(records == 5)
  }
}
