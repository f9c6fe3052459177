import Foundation
import SeededExecution
import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

/// A random workload on a node's disks, of which one fails to write now and then, or for good, and then
/// the power goes; all of it several times. Everything follows from the seed.
struct DiskSetCrashRun: Sendable {
  var seed: UInt64

  private static let workers = 3
  private static let uploads = 5

  /// Runs it.
  ///
  /// - Throws: what promise was broken.
  func run() throws {
    try SeededRun.run(seed: seed) { try await self.check() }
  }

  private func check() async throws {
    var generator = SeededGenerator(seed: seed ^ 0xD15C)
    let disks = (0..<2 + generator.next(below: 2)).map { _ in MemoryDisk(capacityBytes: 64 << 20) }
    let model = CrashModel(disks: disks, rot: false)
    for life in 0..<5 {
      let set = try await openSet(disks)
      try await inspect(set, model: model)
      arm(disks, &generator)
      await work(on: set, model: model, life: life)
      for disk in disks { disk.injectFaults(nil) }
      if generator.next(below: 3) == 0 {
        await work(on: set, model: model, life: life + 10)
        if generator.next(below: 2) == 0 { await set.close() }
      }
      for disk in disks { disk.crash { _ in generator.next(below: 2) == 0 } }
    }
    try await inspect(try await openSet(disks), model: model)
  }

  /// Lays faults: of one disk's writes some fail, or all from some call on; or the power goes early.
  private func arm(_ disks: [MemoryDisk], _ generator: inout SeededGenerator) {
    let bad = generator.next(below: disks.count)
    let first = disks[bad].calls + generator.next(below: 150)
    let one = 1 + generator.next(below: 4)
    let callsLeft = generator.next(below: 3) == 0 ? generator.next(below: 600) : .max
    let meter = CallMeter(left: callsLeft)
    for (place, disk) in disks.enumerated() {
      disk.injectFaults { call in
        guard meter.spend() else { return StoreError(.internal, "the power is gone") }
        let isWrite = [.create, .write, .sync, .rename, .reserve, .syncDirectory]
          .contains(call.kind)
        return place == bad && isWrite && call.number >= first && call.number % one == 0
          ? StoreError(.internal, "input/output error") : nil
      }
    }
  }

  /// Counts the calls that all disks may still do.
  private final class CallMeter: Sendable {
    private let left: Mutex<Int>

    init(left: Int) {
      self.left = Mutex(left)
    }

    func spend() -> Bool {
      left.withLock { left in
        left -= 1
        return left >= 0
      }
    }
  }

  private func work(on set: DiskSet, model: CrashModel, life: Int) async {
    await withTaskGroup(of: Void.self) { group in
      for worker in 0..<Self.workers {
        let seed = seed &* 37 &+ UInt64(life * 10 + worker)
        group.addTask { await self.work(on: set, model: model, worker: worker, seed: seed) }
      }
      group.addTask {
        for _ in 0..<4 {
          await set.settleDeletions()
          await set.drain()
          for disk in set.disks { while await disk.store.upkeep() {} }
          _ = try? await set.statistics()
          for _ in 0..<50 { await Task.yield() }
        }
      }
    }
  }

  private func work(on set: DiskSet, model: CrashModel, worker: Int, seed: UInt64) async {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<12 {
      let upload = UInt64(worker * 100 + generator.next(below: Self.uploads) + 1)
      switch generator.next(below: 10) {
      case 0..<5:
        let version = generator.next(below: 2)
        let lengths = [1, 900, 5_000, 30_000, 66_000]
        let content = CrashContent(
          upload: upload, version: version, length: lengths[(Int(upload) + version) % 5])
        await model.put(content, on: set)
      case 5..<9: await model.delete(upload, on: set)
      default: await model.read(upload, on: set)
      }
    }
  }

  /// Checks everything that must hold once the disks were opened.
  private func inspect(_ set: DiskSet, model: CrashModel) async throws {
    for disk in set.disks { disk.store.shell.withLock { $0.state.checkInvariants() } }
    for worker in 0..<Self.workers {
      for number in 1...Self.uploads {
        await model.read(UInt64(worker * 100 + number), on: set, isFinal: true)
      }
    }
    if let failure = model.failure {
      throw StoreError(.dataLoss, "seed \(seed): \(failure)")
    }
    let page = try await set.list(after: nil, limit: 1_000)
    let listed = page.records.map(\.chunk.id.upload)
    guard listed == model.present, page.unread.isEmpty else {
      throw StoreError(.dataLoss, "seed \(seed): listed \(listed), stored \(model.present)")
    }
  }
}

@Suite("Several disks when one fails and the power goes")
struct DiskSetCrashTests {
  /// The seed to replay instead of all others.
  private static let replayed = ProcessInfo.processInfo.environment["DISKS"].flatMap { UInt64($0) }

  @Test("what was acknowledged is there, or gone, whatever happens when")
  func manySeeds() throws {
    let seeds = Self.replayed.map { $0...$0 } ?? 1...100
    for seed in seeds { try DiskSetCrashRun(seed: seed).run() }
  }
}
