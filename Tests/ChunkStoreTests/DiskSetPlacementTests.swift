import StoreModel
import Testing

@testable import ChunkStore

@Suite("Which disk a new chunk goes to")
struct DiskSetPlacementTests {
  /// Stores chunks.
  ///
  /// - Returns: how many each disk got.
  private static func store(
    _ uploads: ClosedRange<UInt64>, of length: Int, in set: DiskSet
  ) async throws -> [Int] {
    var counts = set.disks.map { _ in 0 }
    for upload in uploads {
      try await set.store(pattern(length, seed: upload), upload: upload)
      let places = set.places(of: upload)
      #expect(places.count == 1)
      for place in places { counts[place] += 1 }
    }
    return counts
  }

  /// Bytes that new chunks may have on each disk.
  private static func free(_ set: DiskSet) async throws -> [Int] {
    var free: [Int] = []
    for disk in set.disks { free.append(Int(try await disk.store.statistics().freeBytes)) }
    return free
  }

  @Test(
    "most new chunks go to the disk with the most room, wherever it stands, and some to the others",
    arguments: [0, 1, 2])
  func mostRoom(large: Int) async throws {
    let disks = (0..<3).map { MemoryDisk(capacityBytes: $0 == large ? 512 << 20 : 64 << 20) }
    let set = try await openSet(disks)
    let counts = try await Self.store(1...300, of: 9_000, in: set)
    // Of the pairs of disks five in nine have it among them.
    #expect(counts[large] > 140, "\(counts)")
    #expect(counts.allSatisfy { $0 > 30 }, "\(counts)")
  }

  @Test(
    "disks that have as much room as each other get as many chunks, and the smaller ones catch up")
  func evenly() async throws {
    let equal = try await openSet((0..<2).map { _ in MemoryDisk(capacityBytes: 64 << 20) })
    let counts = try await Self.store(1...200, of: 9_000, in: equal)
    #expect(counts.allSatisfy { $0 > 80 }, "\(counts)")

    let unequal = try await openSet([40, 36].map { MemoryDisk(capacityBytes: $0 << 20) })
    let before = try await Self.free(unequal)
    #expect(before[0] - before[1] > 3 << 20)
    _ = try await Self.store(1...160, of: 100_000, in: unequal)
    let after = try await Self.free(unequal)
    #expect(abs(after[0] - after[1]) < 2 << 20, "\(after)")
  }

  @Test("a full disk gets no new chunk, while it runs and after a restart, until it has room again")
  func full() async throws {
    let disks = (0..<3).map { _ in MemoryDisk(capacityBytes: 64 << 20) }
    var set = try await openSet(disks)
    _ = try await Self.store(1...30, of: 9_000, in: set)
    let others = Int(try await disks[1].space().freeBytes)
    disks[1].capacityBytes -= others
    _ = try await set.statistics()
    // What was set aside for the segment that it writes to is all that it has.
    #expect(try await Self.free(set)[1] < 200_000)
    #expect(try await Self.store(31...60, of: 200_000, in: set)[1] == 0)
    await set.close()
    set = try await openSet(disks)
    #expect(try await Self.store(61...90, of: 200_000, in: set)[1] == 0)
    // What it had is still served.
    for upload in 1...30 as ClosedRange<UInt64> {
      #expect(try await set.load(upload: upload) == pattern(9_000, seed: upload))
    }
    disks[1].capacityBytes += others
    _ = try await set.statistics()
    #expect(try await Self.store(91...120, of: 200_000, in: set)[1] > 0)
  }

  @Test(
    "a chunk that a disk has no room for goes to one that has, and where none has it is refused")
  func tooLarge() async throws {
    let set = try await openSet([3, 12].map { MemoryDisk(capacityBytes: $0 << 20) })
    #expect(try await Self.free(set)[0] < 3 << 20)
    #expect(try await Self.store(1...3, of: 3 << 20, in: set) == [0, 3])
    let outcome = await code { try await set.store(pattern(3 << 20, seed: 4), upload: 4) }
    #expect(outcome == .resourceExhausted)
    #expect(set.places(of: 4).isEmpty)
  }
}
