import Checksum
import ChunkStore
import NIOCore
import SeededExecution
import StoreModel

/// Feeds the record parser and the recovery with segments of any bytes: the store opens, serves nothing
/// that doesn't fit its checksums, and is writable.
///
/// The input's first byte says what the rest is: 0 a whole segment; else changes to a good one, each of
/// an offset (2 bytes), a length (1 byte) and so many bytes, after which, if the first byte is odd, the
/// checksums of what look like records' headers are made to fit, so that the fuzzer gets past them.
///
/// - Parameter input: any bytes.
/// - Throws: what the store may not throw, or `SeededRun.Failure` when it waits for ever.
public func recoverSegments(_ input: [UInt8]) throws {
  guard let mode = input.first else { return }
  try SeededRun.run(seed: 1) { try await recover(input.dropFirst(), mode: mode) }
}

/// A clock that stands still.
private struct StillClock: ChunkStoreClock {
  var nanoseconds: UInt64 { 0 }
  var wallSeconds: Int64 { 1_767_225_600 }
  func sleep(until nanoseconds: UInt64) async throws {}
}

private func open(_ disk: MemoryDisk) async throws -> SegmentStore {
  var configuration = SegmentStore.Configuration()
  configuration.segmentBytes = 64 << 10
  return try await SegmentStore.open(
    on: disk, clock: StillClock(), configuration: configuration, drawNode: { NodeID(1) },
    random: { 7 })
}

private func put(_ store: SegmentStore, _ upload: UInt64, _ content: ByteBuffer) async throws {
  let chunk = NewChunk(
    id: ChunkID(group: 1, upload: upload, index: 0), epoch: 1,
    length: UInt32(content.readableBytes), name: try Name(bucket: "fuzz", key: "\(upload)"))
  try await store.put(chunk) { put in
    try await put.append(content)
    _ = try await put.finish(checksum: CRC32C.checksum(of: content))
  }
}

private func recover(_ input: ArraySlice<UInt8>, mode: UInt8) async throws {
  let disk = MemoryDisk()
  let first = try await open(disk)
  for upload in 1...6 as ClosedRange<UInt64> {
    try await put(first, upload, ByteBuffer(repeating: UInt8(upload), count: Int(upload) * 900))
  }
  try await first.delete(ChunkID(group: 1, upload: 2, index: 0))
  if mode & 2 != 0 { await first.close() }
  disk.restart()
  guard let path = disk.files.first(where: { $0.hasSuffix(".segment") }) else { return }
  disk.corrupt(path) { file in
    if mode == 0 {
      file = Array(input)
    } else {
      change(&file, by: input, fitsChecksums: mode & 1 == 1)
    }
  }
  let store: SegmentStore
  do {
    store = try await open(disk)
  } catch let error as StoreError where error.code == .preconditionFailed {
    return  // a segment of a newer version
  }
  let records = try await store.list(after: nil, limit: 1_000).records
  for record in records {
    let read: VerifiedBlocks?
    do {
      read = try await store.withChunk(record.chunk.id) { reader in
        try await reader.read(blocks: 0..<(Int(record.chunk.length) + 65_535) / 65_536)
      }
    } catch let error as StoreError where error.code == .dataLoss {
      read = nil
    }
    if let read {
      var checksums = BlockChecksums()
      checksums.update(read.bytes)
      precondition(checksums.blocks == read.checksums, "a wrong byte was served")
    }
  }
  while await store.upkeep() {}
  try await put(store, 1_000, ByteBuffer(repeating: 9, count: 2_000))
  await store.close()
  _ = try await open(disk)
}

/// Changes a segment.
private func change(_ file: inout [UInt8], by input: ArraySlice<UInt8>, fitsChecksums: Bool) {
  var rest = input
  while rest.count > 3 {
    let header = Array(rest.prefix(3))
    rest = rest.dropFirst(3)
    let offset = (Int(header[0]) | Int(header[1]) << 8) % max(file.count, 1)
    for (place, byte) in rest.prefix(Int(header[2])).enumerated() where offset + place < file.count
    {
      file[offset + place] = byte
    }
    rest = rest.dropFirst(Int(header[2]))
  }
  guard fitsChecksums else { return }
  for start in stride(from: 0, to: file.count - 88, by: 64)
  where file[start..<start + 3].elementsEqual([0x48, 0x46, 0x72]) {
    let count = Int(file[start + 8]) | Int(file[start + 9]) << 8
    guard count >= 88, start + count <= file.count else { continue }
    for place in start + 12..<start + 16 { file[place] = 0 }
    let checksum = CRC32C.checksum(of: Array(file[start..<start + count]))
    for byte in 0..<4 {
      file[start + 12 + byte] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(byte)))
    }
  }
}
