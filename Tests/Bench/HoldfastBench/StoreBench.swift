import CYardsticks
import Checksum
import ChunkStore
import Foundation
import NIOCore
import RPC
import StoreModel
import Synchronization

/// A node's chunk store by itself, on a real disk with every sync, beside C loops on the same disk.
struct StoreBench {
  private static let mebi = 1 << 20
  private static let chunkBytes = 8 << 20
  private static let repetitions = 3

  /// The machine's clock as the store wants it.
  private struct Clock: ChunkStoreClock {
    var nanoseconds: UInt64 { time.now.nanoseconds }
    var wallSeconds: Int64 { time.wallClockMicroseconds / 1_000_000 }

    func sleep(until nanoseconds: UInt64) async throws {
      try await time.sleep(until: Instant(nanoseconds: nanoseconds))
    }
  }

  private let directory: URL
  private let store: SegmentStore

  /// `store.*`, with data below `parent`.
  static func run(_ report: inout Report, below parent: URL, scale: Int) async throws {
    guard report.wantsAny(of: "store.") else { return }
    report.say("store.*: one store in this process, fsync on, data below \(parent.path)")
    report.say(
      "CPU of a GB without the disk: summing it \(threeDigits(await secondsToSum())) s, "
        + "copying and summing it \(threeDigits(await secondsToCopyAndSum())) s")
    try await on(parent) { try await $0.large(&report) }
    try await on(parent) { try await $0.gets(&report) }
    try await on(parent) { try await $0.small(&report) }
    try await self.scale(&report, below: parent, upTo: scale)
  }

  /// Gives `body` a store in a directory of its own.
  private static func on(_ parent: URL, _ body: (StoreBench) async throws -> Void) async throws {
    let directory = parent.appending(path: "holdfast-store-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }
    let store = try await open(directory)
    try await body(StoreBench(directory: directory, store: store))
    await store.close()
  }

  private static func open(_ directory: URL) async throws -> SegmentStore {
    let random = SystemRandomSource()
    return try await SegmentStore.open(
      on: try FileDisk(root: directory.path), clock: Clock(), drawNode: { NodeID(1) },
      random: { random.next() })
  }

  // MARK: Chunks of 8 MiB

  private func large(_ report: inout Report) async throws {
    guard report.wantsAny(of: "store.8MiB.put") || report.wantsAny(of: "store.1GiB.put") else {
      return
    }
    var uploads: UInt64 = 0
    var rates: [String: [Rate]] = [:]
    var disk: [Double] = []
    for _ in 0..<Self.repetitions {
      disk.append(try yardstick("c.chunk.8MiB", yardstick_chunks(directory.path, 64)))
      for (name, width, count) in [("store.8MiB.put", 1, 64), ("store.1GiB.put", 4, 128)]
      where report.wants(name) {
        let first = uploads
        uploads += UInt64(count)
        let rate = try await measure(bytes: count * Self.chunkBytes) {
          try await each(width, count) { try await putLarge(first + UInt64($0)) }
        }
        rates[name, default: []].append(rate)
      }
    }
    for name in ["store.8MiB.put", "store.1GiB.put"] {
      add(name, rates[name] ?? [], against: "c.chunk.8MiB", median(disk), &report)
    }
  }

  private static let piece = ByteBuffer(repeating: 0x5a, count: 256 << 10)
  private static let wholeChecksum = CRC32C.checksum(
    of: ByteBuffer(repeating: 0x5a, count: chunkBytes))

  private func putLarge(_ upload: UInt64) async throws {
    try await store.put(Self.chunk(upload, length: Self.chunkBytes)) { put in
      for _ in 0..<Self.chunkBytes / Self.piece.readableBytes { try await put.append(Self.piece) }
      _ = try await put.finish(checksum: Self.wholeChecksum)
    }
  }

  /// Reads chunks beside C's reading of the same segments: how fast the page cache is depends on how a file came
  /// into it.
  private func gets(_ report: inout Report) async throws {
    guard report.wantsAny(of: "store.8MiB.get") else { return }
    let chunks = 0..<UInt64(64)
    let bytes = chunks.count * Self.chunkBytes
    for upload in chunks { try await putLarge(upload) }
    let segments = directory.appending(path: "segments").path
    // What is read is verified, which takes some time out of the fastest memory, too: by how much says `summed`.
    for (name, against, isWarm, isSummed) in [
      ("store.8MiB.get", "c.read.warm", true, false),
      ("store.8MiB.get.cold", "c.read.cold", false, false),
      ("store.8MiB.get.summed", "c.read.warm.summed", true, true),
    ] where report.wants(name) {
      var rates: [Rate] = []
      var disk: [Double] = []
      let rounds = isWarm ? 8 : 1
      if isWarm { try await read(chunks) }
      for _ in 0..<Self.repetitions {
        if !isWarm { try evict() }
        disk.append(
          try yardstick(
            against, yardstick_reads(segments, Double(bytes), Int32(rounds), isSummed ? 1 : 0)))
        if !isWarm { try evict() }
        rates.append(
          try await measure(bytes: rounds * bytes) {
            for _ in 0..<rounds { try await read(chunks) }
          })
      }
      add(name, rates, against: against, median(disk), &report)
    }
  }

  /// Reads chunks of 8 MiB, one after the other, as a node sends them.
  private func read(_ uploads: Range<UInt64>) async throws {
    for upload in uploads {
      try await store.withChunk(Self.chunk(upload, length: Self.chunkBytes).id) { reader in
        try await reader.read(blocks: 0..<Self.chunkBytes >> 16, pieceBlocks: 4) { _ in }
      }
    }
  }

  /// Has the system forget what it has in memory of the segments.
  private func evict() throws {
    let segments = directory.appending(path: "segments")
    for name in try FileManager.default.contentsOfDirectory(atPath: segments.path) {
      guard yardstick_evict(segments.appending(path: name).path) == 0 else {
        throw BenchError("the page cache could not be emptied")
      }
    }
  }

  // MARK: Chunks of 4 KiB

  private func small(_ report: inout Report) async throws {
    let content = ByteBuffer(repeating: 0x5a, count: 4_096)
    var uploads: UInt64 = 0
    for (width, count) in [(1, 2_000), (64, 50_000)]
    where report.wants("store.4KiB.put.\(width)") || report.wants("store.4KiB.get") {
      var rates: [Rate] = []
      var disk: [Double] = []
      for _ in 0..<Self.repetitions {
        disk.append(try yardstick("c.append.4KiB", yardstick_appends(directory.path, 2_000)))
        let first = uploads
        uploads += UInt64(count)
        rates.append(
          try await measure(bytes: count) {
            try await each(width, count) { try await put(first + UInt64($0), content) }
          })
      }
      addCount(
        "store.4KiB.put.\(width)", rates, "puts/s", against: "c.append.4KiB", median(disk), &report)
    }
    guard report.wants("store.4KiB.get") else { return }
    var rates: [Rate] = []
    var disk: [Double] = []
    for round in 0..<Self.repetitions {
      disk.append(
        try yardstick("c.pread.8KiB", yardstick_random_reads(directory.path, 32, 2_000)))
      try evict()
      rates.append(
        try await measure(bytes: 2_000) {
          for number in 0..<2_000 as Range<UInt64> {
            let upload = (number &* 2_654_435_761 &+ UInt64(round)) % uploads
            try await get(upload)
          }
        })
    }
    addCount(
      "store.4KiB.get.random", rates, "gets/s", against: "c.pread.8KiB", median(disk), &report)
  }

  private func put(_ upload: UInt64, _ content: ByteBuffer) async throws {
    let put = try await store.beginPut(Self.chunk(upload, length: content.readableBytes))
    try await put.append(content)
    _ = try await put.finish(checksum: CRC32C.checksum(of: content))
  }

  private func get(_ upload: UInt64) async throws {
    let id = Self.chunk(upload, length: 1).id
    try await store.withChunk(id) { _ = try await $0.read(blocks: 0..<1) }
  }

  // MARK: Many chunks

  /// What memory, opening and single operations cost with ever more chunks of a byte.
  private static func scale(
    _ report: inout Report, below parent: URL, upTo most: Int
  ) async throws {
    guard report.wants("store.scale") else { return }
    let directory = parent.appending(path: "holdfast-store-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }
    report.say("    chunks   put us  get us  delete us  open s  bytes of memory a chunk")
    let empty = yardstick_resident_bytes()
    var count = 0
    var next = 10_000
    while next <= most {
      let puts = try await add(count..<next, in: directory)
      count = next
      let row = try await row(directory, count: count, empty: empty)
      let columns = [
        "\(count)".paddedLeft(to: 10), threeDigits(puts).paddedLeft(to: 7), row,
      ]
      report.say(columns.joined(separator: "  "))
      next *= 10
    }
  }

  /// Stores chunks of a byte; returns microseconds a chunk.
  private static func add(_ numbers: Range<Int>, in directory: URL) async throws -> Double {
    let bench = StoreBench(directory: directory, store: try await open(directory))
    let byte = ByteBuffer(repeating: 0x5a, count: 1)
    let puts = try await seconds {
      try await bench.each(64, numbers.count) { number in
        try await bench.put(UInt64(numbers.lowerBound + number), byte)
      }
    }
    await bench.store.close()
    return puts / Double(numbers.count) * 1e6
  }

  /// What opening a store with so many chunks and single operations in it cost.
  private static func row(_ directory: URL, count: Int, empty: Double) async throws -> String {
    let operations = 5_000
    let start = time.now
    let bench = StoreBench(directory: directory, store: try await open(directory))
    let opening = Double(time.now.nanoseconds - start.nanoseconds) * 1e-9
    let memory = max(yardstick_resident_bytes() - empty, 0) / Double(count)
    let someGets = {
      for number in 0..<operations { try await bench.get(UInt64(number * 7_919 % count)) }
    }
    // Once for the disk, then for the store.
    try await someGets()
    let gets = try await seconds(someGets)
    let deletes = try await seconds {
      try await bench.each(64, operations) { number in
        let id = chunk(UInt64(number * (count / operations)), length: 1).id
        try await bench.store.delete(id)
      }
    }
    let byte = ByteBuffer(repeating: 0x5a, count: 1)
    try await bench.each(64, operations) { number in
      try await bench.put(UInt64(number * (count / operations)), byte)
    }
    await bench.store.close()
    let columns = [
      threeDigits(gets / Double(operations) * 1e6).paddedLeft(to: 6),
      threeDigits(deletes / Double(operations) * 1e6).paddedLeft(to: 9),
      threeDigits(opening).paddedLeft(to: 6), threeDigits(memory).paddedLeft(to: 8),
    ]
    return columns.joined(separator: "  ")
  }

  // MARK: Measuring

  /// What CRC-32C takes for a GB in pieces of 256 KiB: what a get can't do without.
  private static func secondsToSum() async -> Double {
    let piece = ByteBuffer(repeating: 0x5a, count: 256 << 10)
    let count = 2_000
    var sum = CRC32C()
    let elapsed = await seconds { for _ in 0..<count { sum.update(piece) } }
    return elapsed / Double(count * piece.readableBytes) * 1e9
  }

  /// What it takes to copy and sum a GB, block after block, into 8 MiB: what a put can't do without.
  private static func secondsToCopyAndSum() async -> Double {
    let block = ByteBuffer(repeating: 0x5a, count: BlockChecksums.blockBytes)
    let count = 8_000
    let target = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkBytes, alignment: 4_096)
    defer { target.deallocate() }
    target.initializeMemory(as: UInt8.self, repeating: 0)
    var sums = BlockChecksums()
    let elapsed = await seconds {
      for number in 0..<count {
        let start = number * block.readableBytes % target.count
        block.withUnsafeReadableBytes {
          sums.update($0, copyingTo: UnsafeMutableRawBufferPointer(rebasing: target[start...]))
        }
      }
    }
    return elapsed / Double(count * block.readableBytes) * 1e9
  }

  /// So many a second, with the CPU that they took.
  private struct Rate {
    var perSecond: Double
    var cpuSeconds: Double
  }

  /// Does something `count` times, `width` at once.
  private func each(
    _ width: Int, _ count: Int, _ deed: @escaping @Sendable (Int) async throws -> Void
  ) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for lane in 0..<width {
        group.addTask {
          for number in stride(from: lane, to: count, by: width) { try await deed(number) }
        }
      }
      try await group.waitForAll()
    }
  }

  private func measure(bytes: Int, _ body: () async throws -> Void) async throws -> Rate {
    let cpu = yardstick_cpu_seconds()
    let elapsed = try await seconds(body)
    return Rate(
      perSecond: Double(bytes) / elapsed,
      cpuSeconds: (yardstick_cpu_seconds() - cpu) / Double(bytes))
  }

  private func add(
    _ name: String, _ rates: [Rate], against: String, _ yardstick: Double,
    _ report: inout Report
  ) {
    guard report.wants(name) else { return }
    report.add(
      Figure(
        name: name, value: median(rates.map(\.perSecond)) / 1e6, unit: "MB/s", against: against,
        yardstick: yardstick / 1e6,
        notes: "CPU \(threeDigits(median(rates.map(\.cpuSeconds)) * 1e9)) s a GB"))
  }

  private func addCount(
    _ name: String, _ rates: [Rate], _ unit: String, against: String, _ yardstick: Double,
    _ report: inout Report
  ) {
    guard report.wants(name) else { return }
    report.add(
      Figure(
        name: name, value: median(rates.map(\.perSecond)), unit: unit, against: against,
        yardstick: yardstick,
        notes: "CPU \(threeDigits(median(rates.map(\.cpuSeconds)) * 1e6)) us each"))
  }

  private static func chunk(_ upload: UInt64, length: Int) -> NewChunk {
    NewChunk(
      id: ChunkID(group: 1, upload: upload + 1, index: 0), epoch: 1, length: UInt32(length),
      name: Name(storedBucket: "bench", key: "k\(upload)"))
  }
}
