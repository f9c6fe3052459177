import RPC
import StoreProtocol
import Testing

/// Two running copies of one node take its place from each other; somebody must be told.
@Suite("Two copies of a node")
struct TwoCopiesTests {
  private static func register(_ directory: Fixture, _ address: String) async throws {
    _ = try await directory.client.registerNode(
      RegisterNodeRequest(node: 1, address: address, zone: "", statistics: Fixture.statistics))
  }

  private static func seen(_ warnings: Warnings) -> [String] {
    warnings.texts.filter { $0.contains("another address") }
  }

  @Test("a node that registers from elsewhere while it still reports is warned of, once a minute")
  func warned() async throws {
    let warnings = Warnings()
    try await Fixture.run(log: warnings.handler) { directory in
      try await Self.register(directory, "a:1")
      try await directory.client.heartbeat { writer, reader in
        func report() async throws {
          try await writer.write(HeartbeatRequest(node: 1, statistics: Fixture.statistics))
          _ = try await reader.next()
        }
        try await report()
        try await Self.register(directory, "a:1")
        #expect(Self.seen(warnings).isEmpty)
        for _ in 0..<3 {
          try await Self.register(directory, "b:1")
          try await Self.register(directory, "a:1")
        }
        let first = Self.seen(warnings)
        #expect(first.count == 1)
        for part in ["node=", "a:1", "b:1"] { #expect(first.first?.contains(part) == true) }
        for _ in 0..<12 {
          directory.time.advance(seconds: 5)
          try await report()
        }
        try await Self.register(directory, "b:1")
        #expect(Self.seen(warnings).count == 2)
        try await writer.finish()
      }
    }
  }

  @Test("a node that moved after its silence, its stream's end or its leave is not warned of")
  func moved() async throws {
    let warnings = Warnings()
    try await Fixture.run(log: warnings.handler) { directory in
      try await Self.register(directory, "a:1")
      try await Self.register(directory, "b:1")
      for (place, isLeaving) in [false, true].enumerated() {
        try await directory.client.heartbeat { writer, reader in
          try await writer.write(
            HeartbeatRequest(node: 1, statistics: Fixture.statistics, leaving: isLeaving))
          _ = try await reader.next()
          try await writer.finish()
          #expect(try await reader.next() == nil)
        }
        try await directory.wait(for: [.suspect])
        try await Self.register(directory, "moved:\(place)")
      }
      try await directory.client.heartbeat { writer, reader in
        try await writer.write(HeartbeatRequest(node: 1, statistics: Fixture.statistics))
        _ = try await reader.next()
        directory.time.advance(seconds: 11)
        try await Self.register(directory, "late:1")
        try await writer.finish()
      }
      #expect(Self.seen(warnings).isEmpty)
    }
  }
}
