import Checksum
import NIOCore
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Chunk store that has lost records")
struct LostRecordTests {
  private static let path = StorePaths.segment(1)

  /// A disk with a store of one segment on it, which was closed or cut off.
  private static func disk(isSealed: Bool) async throws -> MemoryDisk {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for upload in 1...3 as ClosedRange<UInt64> {
      try await store.store(pattern(9_000, seed: upload), upload: upload)
    }
    if isSealed { await store.close() }
    disk.crash()
    return disk
  }

  @Test(
    "a segment that is empty or blank is reported, each time, and kept",
    arguments: [(true, 0), (true, 1), (true, 2), (true, 3), (false, 0), (false, 1)])
  func blank(isSealed: Bool, damage: Int) async throws {
    let disk = try await Self.disk(isSealed: isSealed)
    disk.corrupt(Self.path) { file in
      switch damage {
      case 0: file = []
      case 1: file = [UInt8](repeating: 0, count: file.count)
      // No record is there any more, nor the list of those that counted.
      case 2: for place in SegmentHeader.bytes..<file.count - 4_096 { file[place] = 0 }
      // The footer is whole, but nothing that it speaks of.
      default: for place in 0..<file.count - 4_096 { file[place] = 0 }
      }
    }
    #expect(try await !StoreCheck.run(on: disk).isSound)
    let left = disk.contents(of: Self.path)
    for life in 0..<3 {
      let store = try await openStore(disk)
      let problems = await store.takeProblems().map(\.path)
      #expect(problems.contains(Self.path + ".lost"), "life \(life): \(problems)")
      #expect(await code { _ = try await store.load(upload: 2) } == .notFound)
      try await store.store(pattern(9_000, seed: 1), upload: 1)
      #expect(try await store.load(upload: 1) == pattern(9_000, seed: 1))
      #expect(store.place(upload: 1)?.segment != 1)
      await store.close()
      #expect(disk.contents(of: Self.path + ".lost") == left)
      #expect(try await !StoreCheck.run(on: disk).isSound)
    }
    try await disk.remove(Self.path + ".lost")
    #expect(try await StoreCheck.run(on: disk).isSound)
  }

  @Test(
    "what a sealed segment loses with its end is not taken for torn, and the loss is told of each time",
    arguments: 0..<5)
  func lostEnd(damage: Int) async throws {
    let disk = try await Self.disk(isSealed: true)
    let size = try #require(disk.contents(of: Self.path)).count
    disk.corrupt(Self.path) { file in
      switch damage {
      case 0: file.removeLast(4_096)
      case 1: for place in size - 4_096..<size { file[place] = 0 }
      case 2: file += [0]
      // In the payload, or the header, of the second record.
      case 3: file.removeLast(size - 20_000)
      default: for place in 16_390..<size { file[place] = 0 }
      }
    }
    let isWhole = damage < 3
    let check = try await StoreCheck.run(on: disk)
    #expect(!check.isSound && check.chunks == (isWhole ? 3 : 1))
    for life in 0..<3 {
      let store = try await openStore(disk)
      let problems = await store.takeProblems()
      #expect(problems.allSatisfy { $0.path.hasPrefix(Self.path) }, "\(problems)")
      #expect(!problems.isEmpty, "life \(life)")
      #expect(!problems.contains { $0.message.contains("was being written") })
      #expect(try await store.load(upload: 1) == pattern(9_000, seed: 1))
      for upload in 2...3 as ClosedRange<UInt64> {
        let found = await code { _ = try await store.load(upload: upload) }
        #expect(isWhole ? found == nil : found != nil, "chunk \(upload) in life \(life)")
      }
      await store.upkeepAll()
      await store.close()
      #expect(try await !StoreCheck.run(on: disk).isSound, "life \(life)")
    }
  }

  @Test("a record that may have been torn, where a segment lost its end, ends and replaces nothing")
  func unsure() async throws {
    let disk = MemoryDisk()
    let bytes = pattern(9_000, seed: 1)
    let first = try await openStore(disk)
    try await first.store(bytes, upload: 1)
    let place = try #require(first.place(upload: 1))
    await first.close()
    // Stored again, because it seemed damaged for a while.
    disk.injectFaults {
      $0.kind == .read && $0.path == StorePaths.segment(place.segment)
        ? StoreError(.internal, "input/output error") : nil
    }
    let second = try await openStore(disk)
    disk.injectFaults(nil)
    try await second.store(bytes, upload: 1)
    let copy = try #require(second.place(upload: 1))
    #expect(copy.segment > place.segment)
    await second.close()
    disk.corrupt(StorePaths.segment(copy.segment)) { file in
      file[copy.offset + 5_000] ^= 1
      for place in file.count - 4_096..<file.count { file[place] = 0 }
    }
    var store = try await openStore(disk)
    #expect(store.place(upload: 1) == place)
    #expect(try await store.load(upload: 1) == bytes)
    try await store.delete(.test(1))
    disk.crash()
    store = try await openStore(disk)
    #expect(await code { _ = try await store.load(upload: 1) } == .deleted)
    #expect(await store.damagedChunks().isEmpty)
  }

  @Test("a segment that ends with its checkpoint is listed as such, and one that doesn't is not")
  func list() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store([1], upload: 1)
    #expect(try await SegmentList.read(on: disk) == SegmentList(numbers: [1], open: [1], next: 2))
    store.shell.withLock { $0.state.retire() }
    await store.upkeepAll()
    try await store.store([2], upload: 2)
    #expect(
      try await SegmentList.read(on: disk) == SegmentList(numbers: [1, 2], open: [2], next: 3))
    disk.crash()
    let again = try await openStore(disk)
    await again.upkeepAll()
    let list = try #require(try await SegmentList.read(on: disk))
    #expect(list.isSealed(1) && list.next > 2)
    #expect(await again.takeProblems().isEmpty)
  }

  @Test(
    "segments that are gone are told of until somebody removes the mark", arguments: [true, false])
  func gone(isAll: Bool) async throws {
    let disk = try await Self.disk(isSealed: true)
    try await disk.remove(Self.path)
    if isAll { try await disk.remove(SegmentList.path) }
    let mark = (isAll ? SegmentList.path : Self.path) + ".lost"
    for _ in 0..<3 {
      #expect(try await !StoreCheck.run(on: disk).isSound)
      let store = try await openStore(disk)
      #expect(await !store.takeProblems().isEmpty)
      await store.close()
      disk.crash()
      #expect(disk.contents(of: mark) == [])
    }
    try await disk.remove(mark)
    #expect(try await StoreCheck.run(on: disk).isSound)
    let store = try await openStore(disk)
    #expect(await store.takeProblems().isEmpty)
  }

  @Test(
    "a segment to which nothing was written before the power went is no loss",
    arguments: [true, false])
  func neverWritten(survives: Bool) async throws {
    var hasBegun = false
    for call in 1...40 {
      let disk = MemoryDisk()
      let store = try await openStore(disk)
      let bytes = pattern(2_000_000, seed: 1)
      let put = try await store.beginPut(try newChunk(1, bytes: bytes))
      disk.stop(atCall: disk.calls + call)
      _ = await code { try await put.append(ByteBuffer(bytes: bytes.dropLast())) }
      hasBegun = hasBegun || disk.contents(of: Self.path) != nil
      disk.crash { _ in survives }
      let again = try await openStore(disk)
      #expect(await again.takeProblems().isEmpty, "call \(call)")
      #expect(!disk.files.contains { $0.hasSuffix(".segment") || $0.hasSuffix(".lost") })
    }
    #expect(hasBegun)
  }

  @Test("a damaged header in a segment without a checkpoint is reported", arguments: [true, false])
  func header(isDeletion: Bool) async throws {
    for place in [0, 4, 5, 8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 72, 80, 87, 88, 92, 100] {
      let disk = MemoryDisk()
      let store = try await openStore(disk)
      try await store.store(pattern(9_000, seed: 1), upload: 1)
      try await store.delete(.test(1))
      try await store.store(pattern(9_000, seed: 3), upload: 3)
      // Says that those before are durable.
      try await store.store(pattern(9_000, seed: 2), upload: 2)
      disk.crash()
      let start = isDeletion ? 16_384 : 20_480
      disk.corrupt(Self.path) { $0[start + place] ^= 0x10 }
      let check = try await StoreCheck.run(on: disk)
      // With another commit's number it might have been torn.
      #expect(place == 64 ? check.tornRecords == 1 : !check.isSound, "at \(place)")
      let again = try await openStore(disk)
      let problems = await again.takeProblems()
      #expect(problems.count == 1 && problems[0].message.contains("\(start)"), "at \(place)")
      #expect(try await again.load(upload: 2) == pattern(9_000, seed: 2))
      // The segment's checkpoint says nothing of what is lost.
      await again.close()
      let mark = Self.path + StorePaths.lostSuffix
      #expect(place == 64 || disk.files.contains(mark), "at \(place)")
      #expect(try await StoreCheck.run(on: disk).isSound == (place == 64), "at \(place)")
    }
  }

  @Test("what was being written when the power went is not called damaged")
  func torn() async throws {
    var torn = 0
    for kept in 0..<8 {
      let disk = MemoryDisk()
      let store = try await openStore(disk)
      try await store.store(pattern(9_000, seed: 1), upload: 1)
      let content = ByteBuffer(repeating: 7, count: 100)
      let chunk = NewChunk(
        id: .test(2), epoch: 1, length: 100,
        name: try Name(bucket: "photos", key: String(repeating: "k", count: 1_000)))
      let put = try await store.beginPut(chunk)
      try await put.append(content)
      disk.injectFaults { $0.kind == .sync ? StoreError(.internal, "the power goes") : nil }
      #expect(
        await code { _ = try await put.finish(checksum: CRC32C.checksum(of: content)) } != nil)
      // Of its header, which has three sectors, perhaps only the first ones.
      disk.crash { $0 < kept }
      #expect(try await StoreCheck.run(on: disk).isSound)
      let again = try await openStore(disk)
      let problems = await again.takeProblems().map(\.message)
      #expect(problems.allSatisfy { $0.contains("was being written") }, "\(problems)")
      torn += problems.count
    }
    #expect(torn > 0)
  }
}
