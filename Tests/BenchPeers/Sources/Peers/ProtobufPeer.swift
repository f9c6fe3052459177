import SwiftProtobuf

/// swift-protobuf on the message of `AdapterBench`; messages in a second of CPU.
enum ProtobufPeer {
  private static let rounds = 20_000
  private static let repetitions = 7

  /// The same as `AdapterBench.record`.
  private static let record = Record.with {
    $0.id = 0x1234_5678_9abc
    $0.name = "reports/2026/quarter-3/summary-of-all-regions-and-their-branches.pdf"
    $0.origin = origin("node-17.rack-4.example", 7401, -123_456)
    $0.sizes = [8_388_608, 8_388_608, 8_388_608, 4_194_304, 17]
    $0.tags = ["quarterly", "finance", "signed", "audit"]
    $0.counts = ["reads": 18_231, "writes": 3, "bytes": 29_360_145]
    $0.labels = ["owner": "accounting", "retention": "seven-years", "class": "replica-3"]
    $0.link = origin("archive-2.example", 7402, 987_654_321)
    $0.sealed = true
    $0.weight = 0.875
    $0.checksum = 0xdead_beef
  }

  private static func origin(_ host: String, _ port: UInt32, _ offset: Int64) -> RecordOrigin {
    RecordOrigin.with {
      $0.host = host
      $0.port = port
      $0.offsetUs = offset
    }
  }

  /// The length of the message on the wire.
  static func byteCount() throws -> Int {
    let bytes: [UInt8] = try record.serializedBytes()
    return bytes.count
  }

  /// What was encoded or decoded isn't what it should be.
  private struct WrongSum: Error {}

  /// Messages encoded in a second.
  static func encodes() throws -> Double {
    try rate {
      var sum = 0
      for _ in 0..<rounds {
        let bytes: [UInt8] = try record.serializedBytes()
        sum &+= bytes.count
      }
      return sum > 0
    }
  }

  /// Messages decoded in a second.
  static func decodes() throws -> Double {
    let bytes: [UInt8] = try record.serializedBytes()
    return try rate {
      var sum: UInt64 = 0
      for _ in 0..<rounds { sum &+= try Record(serializedBytes: bytes).id }
      return sum == record.id &* UInt64(rounds)
    }
  }

  private static func rate(_ body: () throws -> Bool) throws -> Double {
    var rates: [Double] = []
    for _ in 0..<repetitions {
      let start = cpuSeconds()
      guard try body() else { throw WrongSum() }
      rates.append(Double(rounds) / (cpuSeconds() - start))
    }
    return median(rates)
  }
}
