import NIOCore
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Several disks")
struct DiskSetTests {
  private static func uploads(_ store: any ChunkStore) async throws -> [UInt64] {
    var uploads: [UInt64] = []
    var after: ChunkID?
    repeat {
      let page = try await store.list(after: after, limit: 7)
      uploads += page.records.map(\.chunk.id.upload)
      after = page.next
    } while after != nil
    return uploads
  }

  /// Bytes that are stored on a disk.
  private static func used(_ disk: MemoryDisk) -> Int {
    disk.files.filter { $0.hasSuffix(".segment") }.count
  }

  @Test("chunks spread over the disks, are listed in one order, and found again after a restart")
  func spread() async throws {
    let disks = (0..<3).map { _ in MemoryDisk(capacityBytes: 64 << 20) }
    let set = try await openSet(disks)
    try await set.join(cluster: "c")
    for upload in 1...60 as ClosedRange<UInt64> {
      try await set.store(pattern(20_000, seed: upload), upload: upload)
    }
    #expect(disks.allSatisfy { Self.used($0) > 0 })
    #expect(try await Self.uploads(set) == Array(1...60))
    try await set.delete(ChunkID(group: 7, upload: 30, index: 0))
    #expect(try await set.statistics().chunks == 59)
    await set.close()
    let again = try await openSet(disks.reversed())
    #expect(again.node == testNode)
    #expect(again.cluster == "c")
    #expect(try await Self.uploads(again) == Array(1...60).filter { $0 != 30 })
    for upload in 31...60 as ClosedRange<UInt64> {
      #expect(try await again.load(upload: upload) == pattern(20_000, seed: upload))
    }
    #expect(await code { _ = try await again.load(upload: 30) } == .deleted)
  }

  @Test("another node's disk, another cluster's, a copy and one that is in use are refused")
  func refusals() async throws {
    let mine = MemoryDisk()
    let other = MemoryDisk()
    let set = try await openSet([mine])
    #expect(await code { _ = try await openSet([mine]) } == .preconditionFailed)
    await set.close()
    await (try openSet([other], node: NodeID(2))).close()
    #expect(await code { _ = try await openSet([mine, other]) } == .preconditionFailed)
    let copy = MemoryDisk()
    let format = try #require(mine.contents(of: "format"))
    copy.corrupt("format") { $0 = format }
    #expect(await code { _ = try await openSet([mine, copy]) } == .preconditionFailed)
    let foreign = MemoryDisk()
    foreign.corrupt("thesis.tex") { $0 = [1] }
    #expect(await code { _ = try await openSet([mine, foreign]) } == .preconditionFailed)
    // Nothing was left locked.
    await (try openSet([mine])).close()
  }

  @Test("a disk that can't be read doesn't keep the others from serving")
  func unreadable() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    await (try openSet(disks)).close()
    disks[1].injectFaults { _ in StoreError(.internal, "input/output error") }
    let set = try await openSet(disks)
    #expect(await set.takeProblems().map(\.path) == ["disk1"])
    try await set.store([1, 2], upload: 1)
    #expect(try await set.load(upload: 1) == [1, 2])
  }

  @Test("a disk whose writes fail gets no new chunks, and what it has is moved to the others")
  func draining() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    for upload in 1...20 as ClosedRange<UInt64> {
      try await set.store(pattern(9_000, seed: upload), upload: upload)
    }
    disks[0].injectFaults { call in
      [.write, .sync, .create].contains(call.kind)
        ? StoreError(.internal, "input/output error") : nil
    }
    var failures = 0
    for upload in 21...60 as ClosedRange<UInt64> {
      if await code({ try await set.store([UInt8(upload)], upload: upload) }) != nil {
        failures += 1
      }
      _ = try await set.statistics()
    }
    #expect((1...4).contains(failures))
    await set.drain()
    // What is damaged there is whole on the other disk, from where it is read.
    for file in disks[0].files where file.hasSuffix(".segment") {
      disks[0].corrupt(file) { bytes in
        for place in stride(from: 4_096, to: bytes.count, by: 512) { bytes[place] ^= 1 }
      }
    }
    for upload in 1...20 as ClosedRange<UInt64> {
      #expect(try await set.load(upload: upload) == pattern(9_000, seed: upload))
    }
    #expect(await set.damagedChunks().isEmpty)
    disks[0].injectFaults { _ in StoreError(.internal, "the disk is gone") }
    for upload in 1...20 as ClosedRange<UInt64> {
      #expect(try await set.load(upload: upload) == pattern(9_000, seed: upload))
    }
  }

  @Test("a disk that hangs doesn't hold up the others")
  func hanging() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    let (gate, opening) = AsyncStream.makeStream(of: Void.self)
    disks[0].injectDelays { call in
      guard call.kind == .sync else { return }
      for await _ in gate {}
    }
    try await withThrowingTaskGroup(of: UInt64.self) { group in
      for upload in 1...40 as ClosedRange<UInt64> {
        group.addTask {
          try await set.store(pattern(500, seed: upload), upload: upload)
          return upload
        }
      }
      // About half of them are on the disk that works.
      for _ in 0..<8 { _ = try await group.next() }
      opening.finish()
      try await group.waitForAll()
    }
    #expect(try await Self.uploads(set) == Array(1...40))
  }

  @Test("a disk that hangs keeps nobody from hearing what the node has, and gets no new chunks")
  func silent() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let clock = HandClock()
    let set = try await openSet(disks, clock: clock)
    let both = try await set.statistics().capacityBytes
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await set.run() }
      while set.answers.withLock({ !$0.areAsked }) { await Task.yield() }
      let (gate, opening) = AsyncStream.makeStream(of: Void.self)
      let (asked, asking) = AsyncStream.makeStream(of: Void.self)
      disks[0].injectDelays { call in
        guard call.kind == .space else { return }
        asking.yield()
        for await _ in gate {}
      }
      for await _ in asked.prefix(1) {}
      #expect((try? await set.statistics())?.capacityBytes == both)
      clock.pass(seconds: 31)
      while (try? await set.statistics().capacityBytes) != both / 2 { await Task.yield() }
      for upload in 1...10 as ClosedRange<UInt64> {
        #expect((try? await set.store([1], upload: upload)) != nil)
        #expect(set.places(of: upload) == [1])
      }
      opening.finish()
      while (try? await set.statistics().capacityBytes) != both { await Task.yield() }
      group.cancelAll()
    }
  }
}
