import Checksum
import NIOCore
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("What upkeep leaves behind")
struct UpkeepTests {
  private final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func add(_ number: Int) { count.withLock { $0 += number } }
  }

  /// Counts the bytes that are written to a disk's segments from now on.
  private static func countWritten(to disk: MemoryDisk) -> Counter {
    let written = Counter()
    disk.injectFaults { call in
      if call.kind == .write, call.path.hasSuffix(".segment") {
        written.add(call.range?.count ?? 0)
      }
      return nil
    }
    return written
  }

  @Test("the last close of a removed segment, which is what frees it, is not done under the lock")
  func closeUnderLock() async throws {
    let held = Mutex<SegmentStore?>(nil)
    let underLock = Mutex<[String]>([])
    let disk = ClosingDisk(base: MemoryDisk()) { path in
      guard let store = held.withLock({ $0 }) else { return }
      if store.shell.withLockIfAvailable({ _ in true }) == nil {
        underLock.withLock { $0.append(path) }
      }
    }
    let store = try await openStore(disk, segmentBytes: 1 << 20)
    held.withLock { $0 = store }
    for upload in 1...10 as ClosedRange<UInt64> {
      try await store.store(pattern(9_000, seed: upload), upload: upload)
    }
    let number = try #require(store.place(upload: 1)?.segment)
    store.shell.withLock { $0.state.retire() }
    await store.upkeepAll()
    for upload in 1...9 as ClosedRange<UInt64> { _ = try await store.load(upload: upload) }
    for upload in 1...9 as ClosedRange<UInt64> { try await store.delete(.test(upload)) }
    await store.upkeepAll()
    #expect(store.shell.withLock { $0.state.segments[number] == nil })
    #expect(underLock.withLock { $0 } == [])
    held.withLock { $0 = nil }
  }

  @Test("a damaged large chunk is not written anew again and again")
  func damagedLarge() async throws {
    let disk = MemoryDisk()
    let clock = HandClock()
    let store = try await openStore(disk, segmentBytes: 4 << 20, clock: clock)
    try await store.store(pattern(2_500_000, seed: 1), upload: 1)
    let place = try #require(store.place(upload: 1))
    for upload in 2...140 as ClosedRange<UInt64> {
      try await store.store(pattern(9_000, seed: upload), upload: upload)
    }
    store.shell.withLock { $0.state.retire() }
    await store.upkeepAll()
    for upload in 2...140 as ClosedRange<UInt64> { try await store.delete(.test(upload)) }
    disk.corrupt(StorePaths.segment(place.segment)) { $0[place.offset + 2_490_000] ^= 1 }
    let written = Self.countWritten(to: disk)
    var chores = 0
    while chores < 300, await store.upkeep() { chores += 1 }
    #expect(chores < 300)
    for minute in 1...4 {
      clock.pass(seconds: 61)
      chores = 0
      while chores < 300, await store.upkeep() { chores += 1 }
      #expect(chores < 300, "minute \(minute)")
    }
    #expect(written.value < 2 * 2_500_000, "\(written.value) bytes were written")
  }

  @Test("the same where its segment failed")
  func damagedLargeFailed() async throws {
    let disk = MemoryDisk()
    let clock = HandClock()
    let store = try await openStore(disk, segmentBytes: 16 << 20, clock: clock)
    try await store.store(pattern(8_000_000, seed: 1), upload: 1)
    let place = try #require(store.place(upload: 1))
    disk.corrupt(StorePaths.segment(place.segment)) { $0[place.offset + 7_990_000] ^= 1 }
    store.fail(place.segment, StoreError(.internal, "input/output error"))
    await store.upkeepAll()
    #expect(await store.damagedChunks() == [.test(1)])
    let written = Self.countWritten(to: disk)
    for _ in 1...10 {
      clock.pass(seconds: 61)
      await store.upkeepAll()
    }
    #expect(written.value < 100_000, "in ten minutes \(written.value) bytes were written")
  }

  @Test("damaged large chunks in a segment that failed don't keep upkeep busy for ever")
  func damagedLargeForEver() async throws {
    let disk = MemoryDisk()
    let clock = HandClock()
    let store = try await openStore(disk, segmentBytes: 1 << 20, clock: clock)
    for upload in 1...3 as ClosedRange<UInt64> {
      try await store.store(pattern(300_000, seed: upload), upload: upload)
    }
    let number = try #require(store.place(upload: 1)?.segment)
    for upload in 1...3 as ClosedRange<UInt64> {
      let place = try #require(store.place(upload: upload))
      try #require(place.segment == number)
      disk.corrupt(StorePaths.segment(number)) { $0[place.offset + 290_000] ^= 1 }
    }
    store.fail(number, StoreError(.internal, "input/output error"))
    let written = Self.countWritten(to: disk)
    await store.upkeepAll()
    clock.pass(seconds: 61)
    var chores = 0
    while chores < 500, await store.upkeep() { chores += 1 }
    #expect(chores < 500, "after one minute, without another, \(written.value) bytes were written")
  }

  @Test("room that was given back before a segment was sealed is none to be had by compaction")
  func sealedDiskBytes() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk, segmentBytes: 8 << 20)
    for upload in 1...5 as ClosedRange<UInt64> {
      try await store.store(pattern(256_000, seed: upload), upload: upload)
    }
    let number = try #require(store.place(upload: 5)?.segment)
    for upload in 1...3 as ClosedRange<UInt64> { try await store.delete(.test(upload)) }
    store.shell.withLock { $0.state.retire() }
    #expect(await store.upkeep())  // Seals it.
    let (known, phase) = store.shell.withLock {
      ($0.state.segments[number]?.diskBytes ?? 0, $0.state.segments[number]?.phase)
    }
    let file = try await disk.open(StorePaths.segment(number))
    let real = try await file.size().diskBytes
    #expect(phase == .sealed)
    #expect(known == real)
    await store.upkeepAll()
    #expect(store.place(upload: 5)?.segment == number, "it was compacted for nothing")
  }

  @Test("of a segment that was removed while it was verified nothing is kept for ever")
  func verifiedAt() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk, segmentBytes: 1 << 20)
    for upload in 1...20 as ClosedRange<UInt64> {
      try await store.store(pattern(9_000, seed: upload), upload: upload)
    }
    let number = try #require(store.place(upload: 1)?.segment)
    store.shell.withLock { $0.state.retire() }
    await store.upkeepAll()
    let reads = Counter()
    let (gate, opening) = AsyncStream.makeStream(of: Void.self)
    disk.injectDelays { call in
      guard call.kind == .read, call.path == StorePaths.segment(number) else { return }
      reads.add(1)
      if reads.value == 3 { for await _ in gate {} }
    }
    async let scrub: Void = store.scrub(number)
    while reads.value < 3 { await Task.yield() }
    for upload in 1...20 as ClosedRange<UInt64> { try await store.delete(.test(upload)) }
    opening.finish()
    // The reading ends, and before the next one is begun, or after the last, the segment goes.
    while store.shell.withLock({ $0.state.segments[number] != nil }) {
      while await store.upkeep() {}
      await Task.yield()
    }
    try? await scrub
    #expect(store.shell.withLock { $0.verifiedAt[number] } == nil)
    await store.close()
    let again = try await openStore(disk)
    #expect(again.shell.withLock { $0.verifiedAt[number] } == nil)
  }

  @Test("a segment that goes when its last chunk is deleted is no problem to tell of")
  func noProblem() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk, segmentBytes: 1 << 20)
    for upload in 1...3 as ClosedRange<UInt64> {
      try await store.store(pattern(100_000, seed: upload), upload: upload)
    }
    let number = try #require(store.place(upload: 1)?.segment)
    store.shell.withLock { $0.state.retire() }
    await store.upkeepAll()
    try await store.delete(.test(1))
    try await store.delete(.test(2))
    await store.upkeepAll()
    let path = StorePaths.segment(number)
    let opened = Counter()
    // The deletion's own call to give room back comes late to the file; upkeep was woken by another change.
    let (gate, opening) = AsyncStream.makeStream(of: Void.self)
    disk.injectDelays { call in
      guard call.kind == .open, call.path == path else { return }
      opened.add(1)
      if opened.value == 1 { for await _ in gate {} }
    }
    async let deletion: Void = store.delete(.test(3))
    while opened.value < 1 { await Task.yield() }
    await store.upkeepAll()
    #expect(store.shell.withLock { $0.state.segments[number] == nil })
    opening.finish()
    try await deletion
    #expect(await store.takeProblems() == [])
  }

  @Test("of records that may have been written to a segment nothing is kept once that is gone")
  func ghosts() async throws {
    let disk = MemoryDisk()
    let clock = HandClock()
    let store = try await openStore(disk, segmentBytes: 1 << 20, clock: clock)
    for upload in 1...20 as ClosedRange<UInt64> {
      try await store.store([1], upload: 1_000 + upload)
      disk.injectFaults {
        $0.kind == .write && $0.path.hasSuffix(".segment") && $0.range?.lowerBound != 0
          ? StoreError(.internal, "input/output error") : nil
      }
      _ = await code { try await store.store([1], upload: upload) }
      disk.injectFaults(nil)
      await store.upkeepAll()
    }
    let (ghosts, gone) = store.shell.withLock { shell in
      let all = shell.state.ghosts.values.flatMap { $0 }
      return (all.count, all.count { shell.state.segments[$0.segment] == nil })
    }
    #expect(gone == 0, "\(gone) of \(ghosts) stand in segments that are gone")
  }
}

/// A disk whose files tell when nobody holds them any more, which is when a descriptor is closed.
private struct ClosingDisk: Disk {
  let base: MemoryDisk
  let closed: @Sendable (String) -> Void

  private func wrap(_ file: any DiskFile, _ path: String) -> any DiskFile {
    ClosingFile(base: file, path: path, closed: closed)
  }
  func create(_ path: String, reserving bytes: Int, direct: Bool) async throws(StoreError)
    -> any DiskFile
  { wrap(try await base.create(path, reserving: bytes, direct: direct), path) }
  func open(_ path: String) async throws(StoreError) -> any DiskFile {
    wrap(try await base.open(path), path)
  }
  func openForWriting(_ path: String) async throws(StoreError) -> any DiskFile {
    wrap(try await base.openForWriting(path), path)
  }
  func rename(_ source: String, to target: String) async throws(StoreError) {
    try await base.rename(source, to: target)
  }
  func remove(_ path: String) async throws(StoreError) { try await base.remove(path) }
  func list(_ directory: String) async throws(StoreError) -> [String] {
    try await base.list(directory)
  }
  func makeDirectory(_ path: String) async throws(StoreError) { try await base.makeDirectory(path) }
  func sync(directory: String) async throws(StoreError) {
    try await base.sync(directory: directory)
  }
  func space() async throws(StoreError) -> DiskSpace { try await base.space() }
  func lock(_ path: String) async throws(StoreError) -> any DiskLock { try await base.lock(path) }
}

private final class ClosingFile: DiskFile {
  let base: any DiskFile
  let path: String
  let closed: @Sendable (String) -> Void

  init(base: any DiskFile, path: String, closed: @escaping @Sendable (String) -> Void) {
    self.base = base
    self.path = path
    self.closed = closed
  }
  deinit { closed(path) }
  func beginWrite(_ buffer: DiskBuffer, _ range: Range<Int>, at offset: Int) -> any DiskOperation {
    base.beginWrite(buffer, range, at: offset)
  }
  func writeAndSync(_ writes: [DiskWrite]) async throws(StoreError) {
    try await base.writeAndSync(writes)
  }
  func read(at offset: Int, length: Int) async throws(StoreError) -> DiskRead {
    try await base.read(at: offset, length: length)
  }
  func size() async throws(StoreError) -> FileSize { try await base.size() }
  func reserve(_ range: Range<Int>) async throws(StoreError) { try await base.reserve(range) }
  func truncate(to bytes: Int) async throws(StoreError) { try await base.truncate(to: bytes) }
  func punch(_ range: Range<Int>) async throws(StoreError) { try await base.punch(range) }
  func forget() async { await base.forget() }
  func close() async { await base.close() }
}
