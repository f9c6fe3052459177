import Checksum
import NIOCore
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Chunk store that finds records in doubt")
struct DoubtTests {
  /// A disk whose segment 1 has uploads 1 (and 9, which is damaged and keeps the segment), and whose segment 2
  /// has another record of 1 that no sync made durable, as a process left it that was killed: it stands in the
  /// system's memory alone. The old record's kill is in doubt as well.
  private static func disk() async throws -> MemoryDisk {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    try await first.store(pattern(9_000, seed: 1), upload: 1)
    try await first.store(pattern(9_000, seed: 9), upload: 9)
    await first.close()
    let second = try await openStore(disk)
    try await second.store([5], upload: 5)
    let place = try #require(second.place(upload: 1))
    try #require(place.segment == 1)
    disk.injectFaults {
      $0.kind == .sync && $0.path == StorePaths.segment(2)
        ? StoreError(.internal, "input/output error") : nil
    }
    // Moving it writes the record anew, which ends the old one.
    await second.compact(1)
    disk.restart()
    return disk
  }

  @Test(
    "a copy in doubt is written anew before its predecessor may go, though it stands by a bad sector"
  )
  func unreadable() async throws {
    let disk = try await Self.disk()
    disk.injectFaults { call in
      guard call.kind == .read, call.path == StorePaths.segment(2), let range = call.range else {
        return nil
      }
      // Behind all its records.
      return range.overlaps(200_000..<200_512) ? StoreError(.internal, "input/output error") : nil
    }
    let store = try await openStore(disk)
    #expect(try await store.load(upload: 1) == pattern(9_000, seed: 1))
    await store.upkeepAll()
    disk.crash()
    let again = try await openStore(disk)
    #expect(try await again.load(upload: 1) == pattern(9_000, seed: 1))
    #expect(try await again.load(upload: 9) == pattern(9_000, seed: 9))
    #expect(try await again.load(upload: 5) == [5])
  }

  @Test("where a copy in doubt can't be written anew, its predecessor stays until it can")
  func noRoom() async throws {
    let disk = try await Self.disk()
    disk.injectFaults { call in
      [.create, .rename].contains(call.kind) ? StoreError(.resourceExhausted, "no space") : nil
    }
    let store = try await openStore(disk)
    await store.upkeepAll()
    await store.compact(1)
    #expect(disk.contents(of: StorePaths.segment(1)) != nil)
    // The power goes before there is room: what was in memory alone is lost, the old record is not.
    disk.crash()
    let again = try await openStore(disk)
    #expect(try await again.load(upload: 1) == pattern(9_000, seed: 1))
    #expect(try await again.load(upload: 9) == pattern(9_000, seed: 9))
    await again.upkeepAll()
    #expect(try await again.load(upload: 1) == pattern(9_000, seed: 1))
  }

  @Test("a copy in doubt that can no longer be read ends nothing for good")
  func lost() async throws {
    let disk = try await Self.disk()
    let reads = Mutex(0)
    disk.injectFaults { call in
      guard call.kind == .read, call.path == StorePaths.segment(2),
        let range = call.range, range.count < 100_000, range.lowerBound > 4_096
      else { return nil }
      // The scan reads much at a time; whoever reads a single record finds nothing.
      reads.withLock { $0 += 1 }
      return StoreError(.internal, "input/output error")
    }
    let store = try await openStore(disk)
    await store.upkeepAll()
    // Nor does its predecessor's segment go.
    await store.compact(1)
    await store.close()
    disk.crash()
    let again = try await openStore(disk)
    #expect(reads.withLock { $0 } > 0)
    #expect(try await again.load(upload: 1) == pattern(9_000, seed: 1))
  }

  @Test("a torn copy counts for nothing, also where its segment's checkpoint is torn as well")
  func tornCheckpoint() async throws {
    for call in 0..<40 {
      for sector in [1, 8] {
        let disk = try await Self.disk()
        // Of the copy its header alone outlives the power cut.
        disk.crash { $0 == 1 }
        // The segment gets its checkpoint when the store opens; of that the lists are lost, not the footer.
        disk.stop(atCall: disk.calls + call)
        _ = try? await openStore(disk)
        disk.crash { $0 >= sector }
        let store = try await openStore(disk)
        #expect(try await store.load(upload: 1) == pattern(9_000, seed: 1), "at call \(call)")
        await store.upkeepAll()
        #expect(try await store.load(upload: 1) == pattern(9_000, seed: 1), "at call \(call)")
      }
    }
  }

  @Test("where a checkpoint rots, a copy that was torn before it is still known as torn")
  func rottenCheckpoint() async throws {
    for sector in [0, 8] {
      let disk = try await Self.disk()
      disk.crash { $0 == 1 }
      let sealed = try await openStore(disk)
      await sealed.close()
      disk.crash()
      disk.corrupt(StorePaths.segment(2)) { bytes in
        // The lists are the block before the footer's.
        bytes[bytes.count - 8_192 + sector] ^= 1
      }
      let store = try await openStore(disk)
      #expect(try await store.load(upload: 1) == pattern(9_000, seed: 1))
      #expect(try await store.load(upload: 5) == [5])
    }
  }

  @Test("a chunk that was deleted while an older copy couldn't be read doesn't come back with it")
  func deletedWhileUnread() async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    try await first.store(pattern(9_000, seed: 1), upload: 1)
    try await first.store(pattern(9_000, seed: 2), upload: 2)
    await first.close()
    disk.injectFaults {
      $0.kind == .open && $0.path == StorePaths.segment(1)
        ? StoreError(.internal, "input/output error") : nil
    }
    let blind = try await openStore(disk)
    #expect(await code { _ = try await blind.load(upload: 1) } == .internal)
    // Another node's copy, and then nobody wants it any more.
    try await blind.store(pattern(9_000, seed: 1), upload: 1)
    try await blind.delete(ChunkID(group: 7, upload: 1, index: 0))
    await blind.close()
    disk.crash()
    let again = try await openStore(disk)
    #expect(await code { _ = try await again.load(upload: 1) } == .deleted)
    #expect(try await again.load(upload: 2) == pattern(9_000, seed: 2))
    await again.close()
    // Nor when the deletion is forgotten.
    let late = StillClock(wallSeconds: StillClock().wallSeconds + 30 * 24 * 3_600)
    let forgetful = try await openStore(disk, clock: late)
    await forgetful.upkeepAll()
    await forgetful.close()
    disk.crash()
    let later = try await openStore(disk, clock: late)
    #expect(await code { _ = try await later.load(upload: 1) } == .notFound)
    try await later.store(pattern(9_000, seed: 1), upload: 1)
    disk.crash()
    let last = try await openStore(disk)
    #expect(try await last.load(upload: 1) == pattern(9_000, seed: 1))
  }

  @Test(
    "a large chunk below one whose deletion may have reached the disk is overtaken, one above is not"
  )
  func overtaken() throws {
    var state = StoreState(
      limits: StoreState.Limits(segmentBytes: 1 << 20), index: ChunkIndex(hashSeed: 1))
    let id = ChunkID(group: 7, upload: 1, index: 0)
    let deletion = RecordHeader.deletion(
      RecordKill(id: id, place: RecordPlace(segment: 4, unit: 100), deletedAt: 1))
    for isLost in [false, true] {
      state.beginLarge(id)
      if isLost { state.lose(deletion) } else { state.succeed(deletion) }
      #expect(state.isOvertaken(id, at: RecordPlace(segment: 4, unit: 64)))
      #expect(!state.isOvertaken(id, at: RecordPlace(segment: 4, unit: 128)))
      #expect(!state.isOvertaken(id, at: RecordPlace(segment: 5, unit: 64)))
      state.endLarge(id)
      #expect(!state.isOvertaken(id, at: RecordPlace(segment: 4, unit: 64)))
    }
  }

  @Test("a large chunk whose place was given before the chunk was deleted is not acknowledged")
  func deletedMeanwhile() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    let bytes = pattern(2 << 20, seed: 1)
    let chunk = try newChunk(1, bytes: bytes)
    let put = try await store.beginPut(chunk)
    try await put.append(ByteBuffer(bytes: bytes))
    try await store.store(bytes, upload: 1)
    try await store.delete(chunk.id)
    let checksum = CRC32C.checksum(of: bytes)
    #expect(await code { _ = try await put.finish(checksum: checksum) } == .internal)
    await put.cancel()
    // Stored again it is there, now and after a restart.
    try await store.store(bytes, upload: 1)
    disk.crash()
    let again = try await openStore(disk)
    #expect(try await again.load(upload: 1) == bytes)
    #expect(again.leftovers().isEmpty)
  }
}
