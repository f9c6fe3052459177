import StoreModel
import Synchronization

@testable import ChunkStore

/// Opens disks as one node's.
func openSet(
  _ disks: [any Disk], node: NodeID = testNode, clock: any ChunkStoreClock = StillClock()
) async throws -> DiskSet {
  var configuration = SegmentStore.Configuration()
  configuration.segmentBytes = 256 << 10
  let members = disks.enumerated().map { DiskSet.Member(path: "disk\($0)", disk: $1) }
  let random = Mutex(UInt64(disks.count))
  return try await DiskSet.open(
    members, clock: clock, configuration: configuration, drawNode: { node },
    random: {
      random.withLock { random in
        random &+= 0x9E37_79B9
        return random
      }
    })
}

extension SegmentStore {
  /// Makes the disk one that is taken for failing, though it works.
  func countAsFailing() {
    let now = clock.nanoseconds
    shell.withLock { shell in
      for _ in 1...3 { shell.failures.note(at: now) }
    }
  }
}

extension ChunkID {
  /// The id that chunks of these tests have.
  static func test(_ upload: UInt64) -> ChunkID {
    ChunkID(group: 7, upload: upload, index: 0)
  }
}

extension DiskSet {
  /// The disks' numbers, from 0, that have a chunk.
  func places(of upload: UInt64) -> [Int] {
    disks.indices.filter { disks[$0].store.holds(.test(upload)) }
  }
}
