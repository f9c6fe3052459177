import NIOCore
import RPC
import Simulation
import StoreClient
import StoreModel
import Testing

/// A cluster whose network is slow and breaks, in virtual time.
@Suite("A cluster on a network with faults")
struct FaultyNetworkTests {
  private static let fileBytes = 1_500_000

  /// Uploads a file while connections are slow and are cut or fall silent, until one upload succeeds, then
  /// reads it back over a sound network.
  @Sendable private static func scenario(_ world: Simulation.World) async throws -> Bool {
    let bytes = world.random("scenario").bytes(fileBytes)
    let cluster = SimulatedCluster(world: world)
    let name = try Name(bucket: "faults", key: "file")
    return try await cluster.run { client in
      var faults = MemoryFaults()
      faults.delay = .milliseconds(2)
      faults.jitter = .milliseconds(20)
      faults.cutsOneIn = 25
      faults.losesOneIn = 100
      cluster.setFaults(faults)
      while true {
        do {
          _ = try await client.upload(ByteBuffer(bytes: bytes), to: name)
          break
        } catch let error as StoreError {
          world.trace.note("scenario", "upload failed: \(error.code)")
        }
      }
      cluster.setFaults(MemoryFaults())
      // What is silent is given up by and by.
      try await world.time.sleep(until: world.time.now.advanced(by: .seconds(120)))
      return try await client.contents(of: name, upTo: fileBytes) == ByteBuffer(bytes: bytes)
    }
  }

  @Test("keeps what it acknowledged", arguments: 1...20)
  func survives(seed: UInt64) throws {
    let outcome = try Simulation.run(seed: seed) { try await Self.scenario($0) }
    #expect(outcome.value, "seed \(seed)")
  }

  @Test("does the same under the same seed", arguments: [5, 6])
  func sameTrace(seed: UInt64) throws {
    let first = try Simulation.run(seed: seed) { try await Self.scenario($0) }
    let second = try Simulation.run(seed: seed) { try await Self.scenario($0) }
    #expect(first.digest == second.digest)
    #expect(first.events == second.events)
  }
}
