import Checksum
import NIOCore
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Segments that are not what they should be, and their list")
struct OddSegmentTests {
  @Test("the reserve is not lost where a segment could not be made of it, and then the power goes")
  func reserveUsedTwice() async throws {
    func open(_ disk: MemoryDisk) async throws -> SegmentStore {
      try await openStore(
        disk, segmentBytes: 1 << 20, maxReserveBytes: 256 << 10, compactionRunBytes: 256 << 10)
    }
    var strangers = 0
    for call in 0..<20 {
      let disk = MemoryDisk(capacityBytes: 4 << 20)
      let store = try await open(disk)
      var stored: [UInt64] = []
      while await code({
        try await store.store(pattern(9_000, seed: 1), upload: UInt64(stored.count + 1))
      }) == nil { stored.append(UInt64(stored.count + 1)) }
      disk.injectFaults { call in
        call.path.hasPrefix(SegmentList.path) && call.kind == .create
          ? StoreError(.resourceExhausted, "no space left") : nil
      }
      for upload in stored.prefix(20) { _ = await code { try await store.delete(.test(upload)) } }
      disk.injectFaults(nil)
      disk.stop(atCall: disk.calls + call)
      for upload in stored.prefix(20) { _ = await code { try await store.delete(.test(upload)) } }
      disk.crash { _ in true }
      for life in 0..<2 {
        let again = try await open(disk)
        let problems = await again.takeProblems()
        let bad = problems.filter { $0.message.contains("left alone") }
        if life == 1, !bad.isEmpty { strangers += 1 }
        await again.close()
      }
    }
    #expect(strangers == 0)
  }

  @Test("a segment that is gone is told of again where no mark could be made")
  func noMark() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store(pattern(9_000, seed: 1), upload: 1)
    await store.close()
    try await disk.remove(StorePaths.segment(1))
    disk.injectFaults {
      $0.kind == .create && $0.path.hasSuffix(".lost")
        ? StoreError(.resourceExhausted, "no room") : nil
    }
    let again = try await openStore(disk)
    #expect(await !again.takeProblems().isEmpty)
    await again.close()
    disk.injectFaults(nil)
    #expect(try await !StoreCheck.run(on: disk).isSound)
    let last = try await openStore(disk)
    #expect(await !last.takeProblems().isEmpty)
  }

  @Test("a directory under a segment's name makes no chunk unknown")
  func directoryAsSegment() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store([1], upload: 1)
    await store.close()
    try await disk.makeDirectory(StorePaths.segment(9))
    let again = try await openStore(disk)
    #expect(await code { _ = try await again.load(upload: 2) } == .notFound)
  }

  @Test(
    "an open segment that was cut is told of, and what is left isn't removed", arguments: [4_096])
  func cutOpen(bytes: Int) async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for upload in 1...8 as ClosedRange<UInt64> {
      try await store.store(pattern(9_000, seed: upload), upload: upload)
    }
    disk.crash()
    disk.corrupt(StorePaths.segment(1)) { $0.removeLast($0.count - bytes) }
    #expect(try await !StoreCheck.run(on: disk).isSound)
    let again = try await openStore(disk)
    let problems = await again.takeProblems()
    #expect(problems.contains { !$0.message.contains("was being written") }, "\(problems)")
    #expect(disk.files.contains { $0.hasPrefix(StorePaths.segment(1)) }, "removed")
  }

  @Test("a segment whose removal could not be synced at once is given up all the same")
  func removedUnsynced() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store(pattern(9_000, seed: 1), upload: 1)
    await store.close()
    let next = try await openStore(disk)
    try await next.store([2], upload: 2)
    try await next.delete(.test(1))
    let hasFailed = Mutex(false)
    let isRemoved = Mutex(false)
    disk.injectFaults { call in
      if call.kind == .remove, call.path == StorePaths.segment(1) {
        isRemoved.withLock { $0 = true }
      }
      guard call.kind == .syncDirectory, isRemoved.withLock({ $0 }) else { return nil }
      return hasFailed.withLock { failed in
        defer { failed = true }
        return failed ? nil : StoreError(.internal, "input/output error")
      }
    }
    await next.upkeepAll()
    for _ in 0..<3 {
      next.shell.withLock { $0.state.tryAll() }
      await next.upkeepAll()
    }
    #expect(hasFailed.withLock { $0 })
    #expect(next.shell.withLock { $0.state.segments[1] == nil }, "kept though its file is gone")
  }

  @Test(
    "a check finds nothing wrong after a power cut while a segment was made",
    arguments: [true, false])
  func checkAfterCrash(survives: Bool) async throws {
    for call in 1...40 {
      let disk = MemoryDisk()
      let store = try await openStore(disk)
      disk.stop(atCall: disk.calls + call)
      _ = await code { try await store.store(pattern(9_000, seed: 1), upload: 1) }
      disk.crash { _ in survives }
      let check = try await StoreCheck.run(on: disk)
      #expect(check.isSound, "call \(call): \(check.problems)")
    }
  }

  @Test("a check tells what it can where the list can't be read, or no segment was ever made")
  func checkAnyway() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store([1], upload: 1)
    await store.close()
    disk.injectFaults {
      $0.path == SegmentList.path ? StoreError(.internal, "input/output error") : nil
    }
    let failed = await code { _ = try await StoreCheck.run(on: disk) }
    #expect(failed == nil)
    disk.injectFaults(nil)
    let fresh = MemoryDisk()
    try await DiskSet.add(
      DiskSet.Member(path: "b", disk: fresh), to: [DiskSet.Member(path: "a", disk: disk)]
    ) { 77 }
    let added = await code { _ = try await StoreCheck.run(on: fresh) }
    #expect(added == nil)
  }

  @Test("a record whose room was given back is blank in a dump, and not damaged")
  func blank() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for upload in 1...3 as ClosedRange<UInt64> {
      try await store.store(pattern(300_000, seed: upload), upload: upload)
    }
    let places = try [1, 2].map { try #require(store.place(upload: $0)) }
    try await store.delete(.test(1))
    await store.upkeepAll()
    await store.close()
    disk.corrupt(StorePaths.segment(places[1].segment)) { $0[places[1].offset + 200_000] ^= 1 }
    var records: [UInt64: SegmentDump.Record] = [:]
    try await SegmentDump.run(StorePaths.segment(places[0].segment), on: disk) { item in
      if case .record(let record) = item, !record.isDeletion {
        records[record.chunk.chunk.id.upload] = record
      }
    }
    #expect(records[1]?.isBlank == true && records[1]?.badBlocks.isEmpty == false)
    #expect(records[2]?.isBlank == false && records[2]?.badBlocks.count == 1)
    #expect(records[3]?.isBlank == false && records[3]?.badBlocks.isEmpty == true)
  }
}
