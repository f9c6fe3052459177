import NIOCore
import RPC
import Simulation
import StoreClient
import StoreModel
import Testing

/// The walls hold: a whole cluster runs on one thread, in virtual time, out of one seed. Whatever
/// took a clock, a thread, a socket or a random number of the machine's own would break these tests.
@Suite("A cluster in one process")
struct WallsTests {
  /// What a scenario saw.
  private struct Report: Sendable {
    var receipt: Receipt
    var isSame: Bool
    var isSameAfterRestart: Bool
    var second: Receipt
  }

  /// A little over 7 chunks.
  private static let fileBytes = 950_000
  private static let bufferBytes = 64 << 10

  /// Uploads a file while a node dies, reads it back, lets the node come back, and uploads another.
  @Sendable private static func scenario(_ world: Simulation.World) async throws -> Report {
    let random = world.random("scenario")
    let bytes = random.bytes(fileBytes)
    let cluster = SimulatedCluster(world: world)
    let victim = cluster.nodes[random.next(below: cluster.nodes.count)]
    let moment = 1 + random.next(below: fileBytes / bufferBytes - 1)
    let delay = random.next(below: 200)
    let name = try Name(bucket: "walls", key: "file")
    return try await cluster.run { client in
      let source = ScriptedSource(bytes: bytes, bufferBytes: bufferBytes) { number in
        guard number == moment else { return }
        for _ in 0..<delay { await Task.yield() }
        victim.crash()
      }
      let receipt = try await client.upload(source, to: name)
      world.trace.note("scenario", "uploaded with \(receipt.copies) copies")
      let back = try await client.contents(of: name, upTo: fileBytes)
      victim.start()
      try await cluster.waitForNodes(3, client)
      world.trace.note("scenario", "\(victim.name) is back")
      let again = try await cluster.withClient("other-client") { other in
        try await other.contents(of: name, upTo: fileBytes)
      }
      // Clients take new groups when those they hold have become old.
      try await world.time.sleep(until: world.time.now.advanced(by: .seconds(30)))
      let second = try await client.upload(
        ByteBuffer(bytes: bytes[..<100_000]), to: try Name(bucket: "walls", key: "second"))
      return Report(
        receipt: receipt, isSame: back == ByteBuffer(bytes: bytes),
        isSameAfterRestart: again == ByteBuffer(bytes: bytes), second: second)
    }
  }

  @Test("a node dies in the middle of an upload, which finishes and reads back", arguments: 1...30)
  func nodeDies(seed: UInt64) throws {
    let outcome = try Simulation.run(seed: seed) { try await Self.scenario($0) }
    let report = outcome.value
    #expect(report.receipt.entry.size == UInt64(Self.fileBytes))
    #expect(report.receipt.copies == 2, "seed \(seed)")
    #expect(report.receipt.targetCopies == 3)
    #expect(report.receipt.fsynced)
    #expect(report.isSame, "seed \(seed)")
    #expect(report.isSameAfterRestart, "seed \(seed)")
    #expect(report.second.copies == 3, "seed \(seed)")
    #expect(outcome.events.contains { $0.text == "dies" })
  }

  @Test("two runs of one seed give the same trace", arguments: [1, 2, 3, 77])
  func sameTrace(seed: UInt64) throws {
    let first = try Simulation.run(seed: seed) { try await Self.scenario($0) }
    let second = try Simulation.run(seed: seed) { try await Self.scenario($0) }
    let difference = zip(first.events, second.events).first { $0 != $1 }
    #expect(difference == nil, "the first difference")
    #expect(first.events.count == second.events.count)
    #expect(first.digest == second.digest)
    #expect(first.steps == second.steps)
    #expect(first.duration == second.duration)
  }

  @Test("different seeds give different traces")
  func differentTraces() throws {
    let first = try Simulation.run(seed: 1) { try await Self.scenario($0) }
    let second = try Simulation.run(seed: 2) { try await Self.scenario($0) }
    #expect(first.events != second.events)
    #expect(first.digest != second.digest)
  }
}
