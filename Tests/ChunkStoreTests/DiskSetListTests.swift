import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Listing several disks of which one fails")
struct DiskSetListTests {
  private static let uploads = 1...12 as ClosedRange<UInt64>

  /// Goes through a list's pages.
  private static func list(
    _ set: any ChunkStore
  ) async throws -> (found: [UInt64], unread: [UInt64]) {
    var found: [UInt64] = []
    var unread: [UInt64] = []
    var after: ChunkID?
    repeat {
      let page = try await set.list(after: after, limit: 5)
      found += page.records.map(\.chunk.id.upload)
      unread += page.unread.map(\.upload)
      after = page.next
    } while after != nil
    return (found, unread)
  }

  @Test("gives what the others have, and says which can't be opened")
  func unreadable() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    for upload in Self.uploads {
      try await set.store(pattern(3_000, seed: upload), upload: upload)
    }
    let here = Self.uploads.filter { set.places(of: $0) == [0] }
    #expect(!here.isEmpty && here.count < 12)
    disks[0].injectFaults {
      $0.kind == .open ? StoreError(.unavailable, "too many open files") : nil
    }
    let (found, unread) = try await Self.list(set)
    #expect(found == Self.uploads.filter { !here.contains($0) })
    #expect(unread == here)

    // What another disk has as well is not missing.
    disks[0].injectFaults(nil)
    set.disks[0].store.countAsFailing()
    await set.drain()
    disks[0].injectFaults {
      $0.kind == .open ? StoreError(.unavailable, "too many open files") : nil
    }
    let complete = try await Self.list(set)
    #expect(complete.found == Array(Self.uploads))
    #expect(complete.unread.isEmpty)
  }

  @Test("a chunk whose segment can't be opened is damaged, and is put to another disk")
  func unopened() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    for upload in Self.uploads {
      try await set.store(pattern(3_000, seed: upload), upload: upload)
    }
    let here = Self.uploads.filter { set.places(of: $0) == [0] }
    for store in set.disks.map(\.store) { store.shell.withLock { $0.state.retire() } }
    disks[0].injectFaults {
      $0.kind == .open ? StoreError(.internal, "input/output error") : nil
    }
    set.disks[0].store.countAsFailing()
    _ = try await set.statistics()
    for upload in here {
      #expect(await code { _ = try await set.load(upload: upload) } == .dataLoss)
      try await set.store(pattern(3_000, seed: upload), upload: upload)
      #expect(set.places(of: upload) == [0, 1])
      #expect(try await set.load(upload: upload) == pattern(3_000, seed: upload))
    }
  }

  @Test("ends in an error where a disk is not used at all")
  func notUsed() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let first = try await openSet(disks)
    for upload in Self.uploads {
      try await first.store(pattern(3_000, seed: upload), upload: upload)
    }
    let there = Self.uploads.filter { first.places(of: $0) == [0] }
    await first.close()
    disks[1].injectFaults { _ in StoreError(.internal, "input/output error") }
    let set = try await openSet(disks)
    let page = try await set.list(after: nil, limit: 100)
    #expect(page.records.map(\.chunk.id.upload) == there)
    let last = try #require(page.next)
    #expect(await code { _ = try await set.list(after: last, limit: 100) } == .internal)
    // Nor is anybody told that what may be there is not here.
    let other = ChunkID(
      group: 7, upload: try #require(Self.uploads.first { !there.contains($0) }), index: 0)
    #expect(await code { _ = try await set.stat(other) } == .internal)
    #expect(await code { try await set.delete(other) } == .internal)
  }
}
