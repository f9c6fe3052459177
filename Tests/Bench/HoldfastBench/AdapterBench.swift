import CYardsticks
import NIOCore
import Schema

/// The adapters against bare protobuf-c: one message of about 320 bytes, again and again; messages in a
/// second of CPU.
enum AdapterBench {
  private static let rounds = 20_000
  private static let repetitions = 7

  /// A message with everything in it.
  static let record = Record(
    id: 0x1234_5678_9abc,
    name: "reports/2026/quarter-3/summary-of-all-regions-and-their-branches.pdf",
    origin: RecordOrigin(host: "node-17.rack-4.example", port: 7401, offsetUs: -123_456),
    sizes: [8_388_608, 8_388_608, 8_388_608, 4_194_304, 17],
    tags: ["quarterly", "finance", "signed", "audit"],
    counts: ["reads": 18_231, "writes": 3, "bytes": 29_360_145],
    labels: ["owner": "accounting", "retention": "seven-years", "class": "replica-3"],
    content: .link(RecordOrigin(host: "archive-2.example", port: 7402, offsetUs: 987_654_321)),
    sealed: true, weight: 0.875, checksum: 0xdead_beef)

  /// `adapter.encode`, into a buffer that is there; `adapter.bytes`, into an array of its own; and
  /// `adapter.decode`.
  static func run(_ report: inout Report) async throws {
    let encoded = try record.encodedBytes()
    let note = "\(encoded.count) bytes"
    for (name, run) in [("adapter.encode", encode), ("adapter.bytes", encodeBytes)]
    where report.wants(name) {
      let bare = try await medianOf(repetitions) {
        try yardstick("c.protobuf.pack", yardstick_pack(encoded, encoded.count, Int32(rounds)))
      }
      report.add(
        Figure(
          name: name, value: try await medianOf(repetitions, run), unit: "messages/s",
          against: "c.protobuf.pack", yardstick: bare, notes: note))
    }
    if report.wants("adapter.decode") {
      let bare = try await medianOf(repetitions) {
        try yardstick("c.protobuf.unpack", yardstick_unpack(encoded, encoded.count, Int32(rounds)))
      }
      let buffer = ByteBuffer(bytes: encoded)
      report.add(
        Figure(
          name: "adapter.decode",
          value: try await medianOf(repetitions) { try await decode(buffer) },
          unit: "messages/s", against: "c.protobuf.unpack", yardstick: bare, notes: note))
    }
  }

  private static func encode() async throws -> Double {
    var buffer = ByteBufferAllocator().buffer(capacity: 1024)
    let elapsed = try await cpuSeconds {
      for _ in 0..<rounds {
        buffer.clear()
        _ = try record.encode(into: &buffer)
      }
    }
    return Double(rounds) / elapsed
  }

  private static func encodeBytes() async throws -> Double {
    var sum = 0
    let elapsed = try await cpuSeconds {
      for _ in 0..<rounds { sum &+= try record.encodedBytes().count }
    }
    guard sum % rounds == 0 else { throw BenchError("encoding went wrong") }
    return Double(rounds) / elapsed
  }

  private static func decode(_ buffer: ByteBuffer) async throws -> Double {
    var sum: UInt64 = 0
    let elapsed = try await cpuSeconds {
      for _ in 0..<rounds {
        sum &+= try Record(decoding: buffer).id
      }
    }
    guard sum == record.id &* UInt64(rounds) else { throw BenchError("decoding went wrong") }
    return Double(rounds) / elapsed
  }
}
