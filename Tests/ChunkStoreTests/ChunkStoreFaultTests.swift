import Checksum
import NIOCore
import StoreModel
import Testing

@testable import ChunkStore

@Suite("Chunk store under faults")
struct ChunkStoreFaultTests {
  /// What happens to what was not synced when the power goes.
  enum Loss: CaseIterable {
    case everything, nothing, someSectors, otherSectors

    func keeps(_ number: Int) -> Bool {
      switch self {
      case .everything: false
      case .nothing: true
      case .someSectors: (number &* 2_654_435_761) >> 7 & 1 == 0
      case .otherSectors: (number &* 2_654_435_761) >> 7 & 1 == 1
      }
    }
  }

  /// What a run of puts and a delete acknowledged before the power went.
  private struct Acknowledged {
    var stored: [UInt64: [UInt8]] = [:]
    var deleted: Set<UInt64> = []
  }

  @Test(
    "cut at every call: acknowledged chunks read back, others are whole or absent",
    arguments: Loss.allCases)
  func cutAnywhere(loss: Loss) async throws {
    var cut = 0
    while true {
      let disk = MemoryDisk()
      let store = try await openStore(disk)
      let end = disk.calls + cut
      disk.injectFaults { call in
        call.number >= end ? StoreError(.internal, "the power is gone") : nil
      }
      let (acknowledged, isComplete) = await Self.work(on: store)
      let shift = cut
      disk.crash { loss.keeps($0 + shift) }
      let again = try await openStore(disk)
      try await Self.check(again, acknowledged, "cut at \(cut), \(loss)")
      if isComplete { break }
      cut += 1
    }
    #expect(cut > 20)
  }

  /// Stores small and large chunks and deletes one, until something fails.
  private static func work(on store: FileChunkStore) async -> (Acknowledged, Bool) {
    var acknowledged = Acknowledged()
    do {
      for (upload, length) in [(1, 5_000), (2, 300_000), (20_000, 10)] as [(UInt64, Int)] {
        let bytes = pattern(length, seed: upload)
        try await store.store(bytes, upload: upload, pieceBytes: 150_000)
        acknowledged.stored[upload] = bytes
      }
      let doomed = acknowledged.stored.removeValue(forKey: 1)
      try await store.delete(ChunkID(group: 7, upload: 1, index: 0))
      acknowledged.deleted.insert(1)
      _ = doomed
      return (acknowledged, true)
    } catch {
      return (acknowledged, false)
    }
  }

  private static func check(
    _ store: FileChunkStore, _ acknowledged: Acknowledged, _ label: String
  ) async throws {
    #expect(store.problems.isEmpty, "\(label): \(store.problems)")
    for (upload, length) in [(1, 5_000), (2, 300_000), (20_000, 10)] as [(UInt64, Int)] {
      let whole = pattern(length, seed: upload)
      do {
        let found = try await store.load(upload: upload)
        #expect(found == whole, "\(label): \(upload)")
        #expect(!acknowledged.deleted.contains(upload), "\(label): \(upload) came back")
      } catch let error as StoreError {
        #expect(error.code == .notFound, "\(label): \(error)")
        #expect(acknowledged.stored[upload] == nil, "\(label): \(upload) is lost")
      }
      try await store.store(whole, upload: upload)
      #expect(try await store.load(upload: upload) == whole)
    }
  }

  @Test("what a process left behind when it went down is durable once it is acknowledged")
  func restartThenPowerCut() async throws {
    let bytes = pattern(5_000, seed: 1)
    for cut in 0..<30 {
      let disk = MemoryDisk()
      let store = try await openStore(disk)
      let end = disk.calls + cut
      disk.injectFaults { call in
        call.number >= end ? StoreError(.internal, "the process is gone") : nil
      }
      _ = try? await store.store(bytes, upload: 1)
      disk.restart()
      let again = try await openStore(disk)
      try await again.store(bytes, upload: 1)
      disk.crash()
      let last = try await openStore(disk)
      #expect(try await last.load(upload: 1) == bytes, "cut at \(cut)")
    }
  }

  @Test("each disk call that fails once fails its put cleanly; the store stays usable")
  func failOnce() async throws {
    var number = 0
    while true {
      let disk = MemoryDisk()
      let store = try await openStore(disk)
      let failing = disk.calls + number
      disk.injectFaults { call in
        call.number == failing ? StoreError(.internal, "input/output error") : nil
      }
      for (upload, length) in [(1, 5_000), (2, 300_000)] as [(UInt64, Int)] {
        let bytes = pattern(length, seed: upload)
        let outcome = await code { try await store.store(bytes, upload: upload) }
        #expect(outcome == nil || outcome == .internal)
        if outcome != nil { try await store.store(bytes, upload: upload) }
      }
      let wasReached = disk.calls > failing
      disk.crash()
      let again = try await openStore(disk)
      for (upload, length) in [(1, 5_000), (2, 300_000)] as [(UInt64, Int)] {
        let found = try await again.load(upload: upload)
        #expect(found == pattern(length, seed: upload), "call \(number)")
      }
      if !wasReached { break }
      number += 1
    }
    #expect(number > 15)
  }

  @Test("a full disk refuses a put with resourceExhausted; room made, it goes on")
  func fullDisk() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    for length in [5_000, 300_000] {
      let bytes = pattern(length, seed: 1)
      disk.capacityBytes = 4_096
      #expect(await code { try await store.store(bytes, upload: 1) } == .resourceExhausted)
      #expect(await store.leftovers(on: disk).isEmpty)
      disk.capacityBytes = 1 << 30
      try await store.store(bytes, upload: 1)
      #expect(try await store.load(upload: 1) == bytes)
      try await store.delete(ChunkID(group: 7, upload: 1, index: 0))
    }
  }

  @Test(
    "a bit that flips anywhere in a chunk's file is noticed, never served",
    arguments: [3_000, 140_000])
  func bitRot(length: Int) async throws {
    let bytes = pattern(length, seed: 1)
    let path = ChunkPaths.file(of: ChunkID(group: 7, upload: 1, index: 0), generation: 0)
    let size = try await Self.diskWithChunk(bytes).contents(of: path)?.count ?? 0
    #expect(size > length)
    let header = ChunkFileHeader.bytes(for: try newChunk(1, bytes: bytes))
    for place in [
      0, 8, 12, 16, 20, 24, 36, 40, 48, 52, 60, 64, 70, 90, 100, header - 1, header,
      header + length / 2, header + length - 1,
    ] {
      let disk = try await Self.diskWithChunk(bytes)
      let open = try await openStore(disk)
      disk.corrupt(path) { $0[place] ^= 0x10 }
      #expect(await code { _ = try await open.load(upload: 1) } == .dataLoss, "at \(place)")
      await open.close()
      let again = try await openStore(disk)
      #expect(again.problems.isEmpty == (place >= header))
      #expect(await code { _ = try await again.load(upload: 1) } == .dataLoss, "at \(place)")
      try await again.store(bytes, upload: 1)
      #expect(try await again.load(upload: 1) == bytes, "at \(place)")
      disk.crash()
      let last = try await openStore(disk)
      #expect(try await last.load(upload: 1) == bytes, "at \(place)")
      try await last.delete(ChunkID(group: 7, upload: 1, index: 0))
      disk.crash()
      let gone = try await openStore(disk)
      #expect(await code { _ = try await gone.load(upload: 1) } == .notFound, "at \(place)")
    }
  }

  @Test("a bad block spares the others")
  func badBlock() async throws {
    let bytes = pattern(300_000, seed: 1)
    let disk = try await Self.diskWithChunk(bytes)
    let path = ChunkPaths.file(of: ChunkID(group: 7, upload: 1, index: 0), generation: 0)
    disk.corrupt(path) { $0[4_096 + 70_000] ^= 1 }
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
  }

  @Test("torn, cut and foreign files are set aside and reported; the rest is served")
  func foreignFiles() async throws {
    let bytes = pattern(300_000, seed: 1)
    let disk = try await Self.diskWithChunk(bytes)
    let path = { ChunkPaths.file(of: ChunkID(group: 7, upload: $0, index: 0), generation: 0) }
    let whole = try #require(disk.contents(of: path(1)))
    disk.corrupt(path(2)) { $0 = whole }
    disk.corrupt(path(3)) { $0 = Array(whole.dropLast(5_000)) }
    disk.corrupt(path(4)) { $0 = [] }
    disk.corrupt(path(5)) { $0 = [UInt8](repeating: 0, count: 10_000) }
    disk.corrupt("chunks/0000000000000/notes.txt") { $0 = Array("hello".utf8) }
    disk.corrupt("chunks/readme") { $0 = [1] }
    disk.corrupt("tmp/77") { $0 = [1] }
    let store = try await openStore(disk)
    #expect(store.problems.count == 6)
    #expect(try await store.load(upload: 1) == bytes)
    for upload in 2...5 as ClosedRange<UInt64> {
      #expect(await code { _ = try await store.load(upload: upload) } == .dataLoss)
    }
    #expect(try await store.list(after: nil, limit: 10).records.count == 1)
    #expect(disk.files.filter { $0.hasPrefix("quarantine/") }.count == 5)
    #expect(await store.leftovers(on: disk).isEmpty)
  }

  @Test("a put that is cancelled leaves nothing", arguments: [5_000, 300_000])
  func cancelled(length: Int) async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    let bytes = pattern(length, seed: 1)
    let put = try await store.beginPut(try newChunk(1, bytes: bytes))
    try await put.append(ByteBuffer(bytes: bytes.dropLast(5)))
    await put.cancel()
    #expect(await store.leftovers(on: disk).isEmpty)
    #expect(await code { try await put.append(ByteBuffer(bytes: [1])) } == .internal)
  }

  /// A disk with one chunk on it, of upload 1, and no store open.
  private static func diskWithChunk(_ bytes: [UInt8]) async throws -> MemoryDisk {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store(bytes, upload: 1)
    await store.close()
    return disk
  }
}
