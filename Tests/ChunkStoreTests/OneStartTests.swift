import Checksum
import NIOCore
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

/// Segments, and disks, that are there again when the store opens next.
@Suite("What can't be read for one start")
struct OneStartTests {
  @Test(
    "a deleted chunk doesn't come back though the segment with its deletion can't be opened once",
    arguments: [StoreError.Code.internal, .unavailable])
  func deletionUnread(why: StoreError.Code) async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    try await first.store(pattern(9_000, seed: 1), upload: 1)
    for upload in 10...150 as ClosedRange<UInt64> {
      try await first.store(pattern(9_000, seed: 2), upload: upload)
    }
    await first.close()
    let second = try await openStore(disk)
    try await second.delete(.test(1))
    try await second.store([3], upload: 3)
    let number = try #require(second.place(upload: 3)?.segment)
    await second.close()
    disk.injectFaults {
      $0.kind == .open && $0.path == StorePaths.segment(number)
        ? StoreError(why, "can't be opened") : nil
    }
    guard why == .internal else {
      #expect(await code { _ = try await openStore(disk) } == why)
      return
    }
    let blind = try await openStore(disk)
    for upload in 10...150 as ClosedRange<UInt64> { try await blind.delete(.test(upload)) }
    await blind.upkeepAll()
    await blind.close()
    disk.crash()
    let again = try await openStore(disk)
    #expect(await again.takeProblems().isEmpty)
    #expect(await code { _ = try await again.load(upload: 1) } == .deleted)
    #expect(try await again.load(upload: 3) == [3])
  }

  @Test(
    "a chunk that was deleted and stored again, and whose segment can't be read or is gone, is not deleted",
    arguments: [false, true])
  func storedAgainUnread(isGone: Bool) async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    try await first.store(pattern(9_000, seed: 1), upload: 1)
    await first.close()
    let second = try await openStore(disk)
    try await second.delete(.test(1))
    await second.close()
    let third = try await openStore(disk)
    try await third.store(pattern(9_000, seed: 1), upload: 1)
    let number = try #require(third.place(upload: 1)?.segment)
    await third.close()
    if isGone {
      try await disk.remove(StorePaths.segment(number))
    } else {
      disk.injectFaults {
        $0.kind == .open && $0.path == StorePaths.segment(number)
          ? StoreError(.internal, "input/output error") : nil
      }
    }
    let blind = try await openStore(disk)
    #expect(await code { _ = try await blind.load(upload: 1) } != .deleted)
    let bytes = pattern(9_000, seed: 1)
    let put = try await blind.beginPut(try newChunk(1, bytes: bytes))
    try await put.append(ByteBuffer(bytes: bytes))
    let mended = await code { _ = try await put.mend(checksum: CRC32C.checksum(of: bytes)) }
    #expect(mended == nil, "no copy is taken")
  }

  @Test(
    "what was deleted stays so though another disk's file stood in its segment's place meanwhile",
    arguments: [nil, true, false] as [Bool?])
  func strangerMeanwhile(isGone: Bool?) async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    try await first.store(pattern(9_000, seed: 1), upload: 1)
    for upload in 10...20 as ClosedRange<UInt64> {
      try await first.store(pattern(9_000, seed: 2), upload: upload)
    }
    await first.close()
    let second = try await openStore(disk)
    try await second.delete(.test(1))
    let number = try #require(second.shell.withLock { $0.state.active })
    await second.close()
    let own = try #require(disk.contents(of: StorePaths.segment(1)))
    if isGone == true {
      try await disk.remove(StorePaths.segment(1))
    } else if isGone == false {
      disk.corrupt(StorePaths.segment(1)) { file in
        var head = [UInt8](repeating: 0, count: 4_096)
        head.withUnsafeMutableBytes {
          SegmentHeader(number: 1, disk: 99, key: 5).encode(into: $0)
        }
        file.replaceSubrange(0..<4_096, with: head)
      }
    }
    let late = StillClock(wallSeconds: StillClock().wallSeconds + 30 * 24 * 3_600)
    let blind = try await openStore(disk, clock: late)
    await blind.upkeepAll()
    await blind.compact(number)
    await blind.close()
    if isGone != nil { disk.corrupt(StorePaths.segment(1)) { $0 = own } }
    #expect(disk.contents(of: StorePaths.segment(number)) == nil)
    let again = try await openStore(disk, clock: late)
    #expect(await code { _ = try await again.load(upload: 1) } != nil, "came back")
  }

  @Test(
    "a deletion that only an unused disk's list tells of stays, once that disk is back",
    arguments: [true, false])
  func listUnused(isUnused: Bool) async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    for upload in 1...60 as ClosedRange<UInt64> {
      try await set.store(pattern(9_000, seed: upload), upload: upload)
    }
    let upload = try #require((1...60).first { set.places(of: UInt64($0)) == [0] }).magnitude
    let chunk = UInt64(upload)
    let others = (1...60 as ClosedRange<UInt64>).filter { $0 != chunk && set.places(of: $0) == [0] }
    disks[0].injectFaults {
      [.write, .sync, .create].contains($0.kind) ? StoreError(.internal, "input/output error") : nil
    }
    try await set.delete(.test(chunk))
    await set.close()
    for disk in disks { disk.crash() }
    // The disk that has the list can't be read this time.
    disks[1].injectFaults {
      isUnused && $0.path == StorePaths.format
        ? StoreError(.internal, "input/output error") : nil
    }
    let half = try await openSet(disks)
    for other in others { _ = await code { try await half.delete(.test(other)) } }
    await half.disks[0].store.upkeepAll()
    await half.close()
    for disk in disks { disk.crash() }
    let again = try await openSet(disks)
    let found = await code { _ = try await again.load(upload: chunk) }
    #expect(found == .deleted)
  }
}
