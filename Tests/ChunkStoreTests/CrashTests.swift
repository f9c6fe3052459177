import Foundation
import Testing

@testable import ChunkStore

@Suite("Chunk store when the disk fails")
struct CrashTests {
  /// The run to replay instead of all others.
  private static let replayed = ProcessInfo.processInfo.environment["CRASH"].flatMap {
    CrashRun($0)
  }
  /// One of so many runs is made; under a sanitizer, which makes them slow, not every one.
  private static let step =
    ProcessInfo.processInfo.environment["CRASH_STEP"].flatMap { Int($0) } ?? 1

  /// How many workloads are cut once.
  private static let seeds =
    ProcessInfo.processInfo.environment["CRASH_SEEDS"].flatMap { UInt64($0) } ?? 450

  @Test(
    "cut at every call of some workloads, it keeps its promises", .enabled(if: replayed == nil),
    arguments: CrashRun.Fault.allCases, 1...8)
  func everyCall(fault: CrashRun.Fault, seed: UInt64) throws {
    var cut = 0
    while cut <= (try CrashRun(seed: seed, cut: cut, fault: fault).run()) {
      cut += (fault == .rot ? 40 : 1) * Self.step
    }
    #expect(cut > 40)
  }

  @Test(
    "cut anywhere in thousands of workloads, it keeps its promises",
    .enabled(if: replayed == nil), arguments: CrashRun.Fault.allCases)
  func manySeeds(fault: CrashRun.Fault) throws {
    for seed in stride(from: UInt64(100), to: 100 + Self.seeds, by: Self.step) {
      _ = try CrashRun(seed: seed, cut: Int(seed &* 2_654_435_761 % 300), fault: fault).run()
    }
  }

  @Test("the run that CRASH names keeps its promises", .enabled(if: replayed != nil))
  func replay() throws {
    _ = try Self.replayed?.run()
  }
}
