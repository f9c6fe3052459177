import RPC
import Schema
import StoreProtocol

/// Calls that store and read chunks: one of each kind.
enum ChunkChecks {
  private static let blockBytes = 65_536
  private static let pieceBytes = 1_048_576

  static let all: [Check] = [
    Check(name: "swift client: chunks in and out") { node in
      for (index, size) in [1, 65_535, 65_536, 65_537, 3_000_000, 8_388_608].enumerated() {
        try await roundTrip(node, index: UInt32(index), bytes: EchoChecks.bytes(size))
      }
    },
    Check(name: "swift client: a chunk that isn't there") { node in
      let id = WireChunkId(group: 1, upload: 2, index: 3)
      let error = try await expectError(.notFound) {
        try await node.statChunk(StatChunkRequest(id: id))
      }
      try expect(error.message.hasSuffix("here"), "the message is '\(error.message)'")
      try await expectError(.notFound) {
        try await node.getChunk(GetChunkRequest(id: id)) { while try await $0.next() != nil {} }
      }
    },
    Check(name: "swift client: a chunk with a wrong checksum") { node in
      let id = WireChunkId(group: 44, upload: 1, index: 1)
      try await expectError(.dataLoss) {
        try await put(node, id: id, bytes: [1, 2, 3], checksum: 12_345)
      }
    },
    Check(name: "swift client: an unknown method") { node in
      try await expectError(.unimplemented) {
        // A node is no Directory.
        try await DirectoryClient(node.channel).getStatus(GetStatusRequest())
      }
    },
  ]

  /// CRC-32C, bit by bit: independent of both sides' own.
  private static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0x82f6_3b78 : 0) }
    }
    return ~crc
  }

  private static func put(
    _ node: NodeClient, id: WireChunkId, bytes: [UInt8], checksum: UInt32
  ) async throws {
    let header = ChunkHeader(
      id: id, epoch: 1, length: UInt32(bytes.count),
      name: WireName(bucket: "interop", key: "swift/chunk"))
    let response = try await node.putChunk { requests in
      for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
        let end = min(start + pieceBytes, bytes.count)
        try await requests.write(
          PutChunkRequest(
            header: start == 0 ? header : nil, checksum: end == bytes.count ? checksum : 0,
            data: Body(bytes[start..<end])))
      }
    }
    try expect(response.replicas.map(\.code) == [0], "the replicas say \(response.replicas)")
  }

  private static func roundTrip(_ node: NodeClient, index: UInt32, bytes: [UInt8]) async throws {
    let id = WireChunkId(group: 42, upload: 9_007_199_254_740_993, index: index)
    let whole = checksum(bytes)
    try await put(node, id: id, bytes: bytes, checksum: whole)
    let stat = try await node.statChunk(StatChunkRequest(id: id))
    try expect(
      stat.checksum == whole && stat.header?.id == id && stat.header?.name?.key == "swift/chunk",
      "stat says \(stat)")
    let read = try await node.getChunk(GetChunkRequest(id: id)) { responses in
      var read: [UInt8] = []
      while let piece = try await responses.next() {
        try expect(Int(piece.offset) == read.count, "a piece at \(piece.offset), not \(read.count)")
        let data = piece.data.bytes
        let sums = stride(from: 0, to: data.count, by: blockBytes).map {
          checksum(data[$0..<min($0 + blockBytes, data.count)])
        }
        try expect(piece.blockChecksums == sums, "other checksums at \(piece.offset)")
        read += data
      }
      return read
    }
    try expect(read == bytes, "\(bytes.count) bytes came back different")
    _ = try await node.deleteChunk(DeleteChunkRequest(id: id))
    try await expectError(.notFound) {
      try await node.deleteChunk(DeleteChunkRequest(id: id))
    }
  }
}
