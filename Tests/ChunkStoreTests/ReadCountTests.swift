import Checksum
import NIOCore
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("How much is read")
struct ReadCountTests {
  /// The reads of a disk while `body` runs, by path, in their order.
  private static func reads(
    of disk: MemoryDisk, while body: () async throws -> Void
  ) async throws -> [String: [Range<Int>]] {
    let reads = Mutex<[String: [Range<Int>]]>([:])
    disk.injectFaults { call in
      if call.kind == .read, let range = call.range {
        reads.withLock { $0[call.path, default: []].append(range) }
      }
      return nil
    }
    try await body()
    disk.injectFaults(nil)
    return reads.withLock { $0 }
  }

  /// Chunks of these lengths, with the longest name that there may be.
  private static func put(_ lengths: [Int], into store: SegmentStore) async throws {
    for (upload, length) in lengths.enumerated() {
      let bytes = pattern(length, seed: UInt64(upload))
      var chunk = try newChunk(UInt64(upload), bytes: bytes)
      chunk.name = try Name(
        bucket: String(repeating: "b", count: Name.maxBucketBytes),
        key: String(repeating: "k", count: Name.maxKeyBytes))
      _ = try await store.put(chunk) { put in
        try await put.append(ByteBuffer(bytes: bytes))
        return try await put.finish(checksum: CRC32C.checksum(of: bytes))
      }
    }
  }

  @Test("a small chunk costs one read, of no more than itself and its header")
  func smallChunk() async throws {
    let lengths = [1, 4_096, 60_000]
    let disk = MemoryDisk()
    let first = try await openStore(disk)
    try await Self.put(lengths, into: first)
    let before = first.place(upload: 1)
    for round in 1...2 {
      let store = round == 1 ? first : try await openStore(disk)
      #expect(store.place(upload: 1) == before)
      for (upload, length) in lengths.enumerated() {
        // The second time the segment is open already.
        for _ in 1...2 {
          let reads = try await Self.reads(of: disk) {
            let bytes = try await store.load(upload: UInt64(upload))
            #expect(bytes == pattern(length, seed: UInt64(upload)))
          }
          let read = try #require(reads.values.first?.first)
          #expect(reads.values.map(\.count) == [1], "chunk of \(length) bytes, round \(round)")
          #expect(read.count <= length + 4_096)
        }
        let reads = try await Self.reads(of: disk) {
          _ = try await store.stat(.test(UInt64(upload)))
        }
        #expect(reads.values.map(\.count) == [1])
      }
      await store.close()
    }
  }

  @Test(
    "a store whose segments are sealed opens by their headers and checkpoints, not their records")
  func sealed() async throws {
    let disk = MemoryDisk()
    let first = try await openStore(disk, segmentBytes: 1 << 20)
    for upload in 1...60 as ClosedRange<UInt64> {
      try await first.store(pattern(90_000, seed: upload), upload: upload)
    }
    for upload in 1...60 as ClosedRange<UInt64> where upload % 7 == 0 {
      try await first.delete(.test(upload))
    }
    await first.close()
    let segments = disk.files.filter { $0.hasSuffix(".segment") }
    #expect(segments.count > 5)

    var store: SegmentStore?
    let reads = try await Self.reads(of: disk) {
      store = try await openStore(disk, segmentBytes: 1 << 20)
    }
    for path in segments {
      let file = try #require(disk.contents(of: path))
      let footer = try #require(
        SegmentCheckpoint.Footer(
          decoding: ByteBuffer(bytes: file.suffix(SegmentCheckpoint.Footer.bytes)),
          fileBytes: file.count))
      let found = try #require(reads[path], "\(path) was not looked at")
      for range in found where !range.isEmpty {
        #expect(
          range.upperBound <= SegmentHeader.bytes
            || range.lowerBound >= footer.entriesRange.lowerBound,
          "\(range) of \(path), whose records end at \(footer.offset)")
      }
      // Its lists may be read again, once they were found to be right.
      let checkpoint = file.count - Int(footer.offset)
      #expect(found.reduce(0) { $0 + $1.count } <= SegmentHeader.bytes + 3 * checkpoint)
    }
    let again = try #require(store)
    #expect(try await again.statistics().chunks == 52)
    #expect(try await again.load(upload: 8) == pattern(90_000, seed: 8))
    #expect(await code { _ = try await again.load(upload: 7) } == .deleted)
  }
}
