import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Listing that goes on in the middle")
struct ChunkListingTests {
  private static let second = ChunkID(group: 7, upload: 2, index: 0)

  private static func uploads(_ store: SegmentStore, after id: ChunkID?) async throws -> [UInt64] {
    try await store.list(after: id, limit: 100).records.map(\.chunk.id.upload)
  }

  @Test("shows what was stored since, after a minute")
  func expiry() async throws {
    let clock = HandClock()
    let store = try await openStore(MemoryDisk(), clock: clock)
    for upload in 1...4 as ClosedRange<UInt64> { try await store.store([1], upload: upload) }
    #expect(try await Self.uploads(store, after: nil) == [1, 2, 3, 4])
    try await store.store([1], upload: 5)
    // Who goes from page to page is served out of one pass.
    clock.pass(seconds: 30)
    #expect(try await Self.uploads(store, after: Self.second) == [3, 4])
    clock.pass(seconds: 31)
    #expect(try await Self.uploads(store, after: Self.second) == [3, 4, 5])
  }

  @Test("makes no new pass while nothing changes")
  func unchanged() async throws {
    let clock = HandClock()
    let store = try await openStore(MemoryDisk(), clock: clock)
    for upload in 1...4 as ClosedRange<UInt64> { try await store.store([1], upload: upload) }
    _ = try await store.list(after: nil, limit: 1)
    clock.pass(seconds: 10_000)
    #expect(try await Self.uploads(store, after: Self.second) == [3, 4])
    #expect(store.shell.withLock { $0.listing?.start } == nil)
  }
}
