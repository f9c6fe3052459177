import Checksum
import NIOCore
import StoreModel
import Testing

@testable import ChunkStore

@Suite("Chunk store whose peers lie")
struct ForgedRecordTests {
  /// A payload that is full of what would be records in its place, if anybody's bytes could be.
  private static func payload(at start: RecordPlace, killing place: RecordPlace) throws -> [UInt8] {
    var payload = pattern(1 << 20, seed: 1)
    let stolen = pattern(500, seed: 2)
    for (number, version) in [(0, UInt8(1)), (1, 1), (2, 2), (3, 2)] {
      let isChunk = number % 2 == 0
      var header =
        isChunk
        ? RecordHeader.chunk(
          ChunkRecord(
            chunk: try newChunk(66, index: UInt32(number), bytes: stolen),
            checksum: CRC32C.checksum(of: stolen)),
          blocks: [CRC32C.checksum(of: stolen)], superseding: nil, isAligned: false)
        : RecordHeader.deletion(
          RecordKill(
            id: ChunkID(group: 7, upload: 1, index: 0), place: place, deletedAt: 1_767_225_600))
      let offset = number * 4_096
      header.batch = 1
      header.place = RecordPlace(
        segment: start.segment, unit: start.unit + UInt32(offset / RecordPlace.unitBytes))
      let bytes = DiskBuffer(capacity: 4_096)
      header.encode(into: bytes.bytes)
      var text = Array(bytes.bytes[..<header.byteCount])
      if version == 1 {
        // As the first version had it: without the key.
        text[4] = 1
        text.removeSubrange(80..<88)
        text += [UInt8](repeating: 0, count: 8)
        for byte in 12..<16 { text[byte] = 0 }
        let checksum = CRC32C.checksum(of: text)
        withUnsafeBytes(of: checksum.littleEndian) { text.replaceSubrange(12..<16, with: $0) }
        #expect(throws: Never.self) {
          _ = try RecordHeader(decoding: ByteBuffer(bytes: text), at: header.place, key: nil)
        }
      }
      payload.replaceSubrange(offset..<offset + text.count, with: text)
      if isChunk {
        payload.replaceSubrange(offset + text.count..<offset + text.count + 500, with: stolen)
      }
    }
    return payload
  }

  @Test("a payload that was never finished can't pass for records, whatever is in it")
  func unfinished() async throws {
    let disk = MemoryDisk()
    let store = try await openStore(disk)
    try await store.store([1, 2, 3], upload: 1)
    let victim = try #require(store.place(upload: 1))
    // Where the next large chunk's payload goes is easy to guess.
    let start = RecordPlace(segment: victim.segment, unit: UInt32(3 * 4_096 / 64))
    let payload = try Self.payload(at: start, killing: victim)
    let put = try await store.beginPut(try newChunk(2, bytes: payload))
    try await put.append(ByteBuffer(bytes: payload))
    try await store.store([4], upload: 3)
    disk.crash { _ in true }
    let file = try #require(disk.contents(of: StorePaths.segment(victim.segment)))
    #expect(Array(file[start.offset..<start.offset + 200]) == Array(payload[..<200]))

    #expect(try await StoreCheck.run(on: disk).isSound)
    let again = try await openStore(disk)
    #expect(await again.takeProblems().isEmpty)
    #expect(try await again.load(upload: 1) == [1, 2, 3])
    #expect(try await again.load(upload: 3) == [4])
    #expect(try await again.list(after: nil, limit: 9).records.map(\.chunk.id.upload) == [1, 3])
    #expect(await code { _ = try await again.load(upload: 66) } == .notFound)
  }

  @Test(
    "a segment's key is found in its header's second copy; without either, its records still are")
  func damagedHeader() async throws {
    for copies in [[0], [2_048], [0, 2_048]] {
      let disk = MemoryDisk()
      let store = try await openStore(disk)
      try await store.store([1, 2, 3], upload: 1)
      disk.crash()
      disk.corrupt(StorePaths.segment(1)) { file in
        for copy in copies { file[copy + 16] ^= 1 }
      }
      let again = try await openStore(disk)
      #expect(try await again.load(upload: 1) == [1, 2, 3], "\(copies)")
    }
  }

  @Test("a segment that the version before wrote, sealed or not, is read")
  func earlierVersion() async throws {
    for isSealed in [true, false] {
      let disk = MemoryDisk()
      let store = try await openStore(disk)
      try await store.store([1, 2, 3], upload: 1)
      if isSealed { await store.close() }
      disk.crash()
      disk.corrupt(StorePaths.segment(1)) { file in
        var head = Array(file[..<24])
        head[8] = 1
        let checksum = CRC32C.checksum(of: head)
        withUnsafeBytes(of: checksum.littleEndian) { head += $0 }
        file.replaceSubrange(0..<4_096, with: head + [UInt8](repeating: 0, count: 4_096 - 28))
        var record = Array(file[4_096..<4_096 + 128])
        record[4] = 1
        record.removeSubrange(80..<88)
        let count = Int(record[8])
        record.insert(contentsOf: [UInt8](repeating: 0, count: 8), at: count - 8)
        for byte in 12..<16 { record[byte] = 0 }
        let own = CRC32C.checksum(of: Array(record[..<count]))
        withUnsafeBytes(of: own.littleEndian) { record.replaceSubrange(12..<16, with: $0) }
        file.replaceSubrange(4_096..<4_096 + 128, with: record[..<128])
      }
      let again = try await openStore(disk)
      #expect(try await again.load(upload: 1) == [1, 2, 3])
      try await again.delete(ChunkID(group: 7, upload: 1, index: 0))
      try await again.store([4], upload: 2)
      disk.crash()
      let last = try await openStore(disk)
      #expect(await code { _ = try await last.load(upload: 1) } == .deleted)
      #expect(try await last.load(upload: 2) == [4])
    }
  }
}
