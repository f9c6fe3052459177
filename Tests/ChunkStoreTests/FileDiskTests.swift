import Checksum
import Foundation
import NIOCore
import StoreModel
import Testing

@testable import ChunkStore

@Suite("Real files")
struct FileDiskTests {
  /// Gives `body` a directory of its own and removes it afterwards.
  static func withDirectory(_ body: (String) async throws -> Void) async throws {
    let path = FileManager.default.temporaryDirectory.path + "/holdfast-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(path)
  }

  @Test("small and large chunks are stored by many at once and read back after a restart")
  func roundTrip() async throws {
    try await Self.withDirectory { path in
      let store = try await openStore(try FileDisk(root: path))
      let lengths = [1, 4_096, 65_537, 300_000, (2 << 20) + 5]
      try await withThrowingTaskGroup(of: Void.self) { group in
        for upload in 0..<40 {
          group.addTask {
            let bytes = pattern(lengths[upload % lengths.count], seed: UInt64(upload))
            try await store.store(bytes, upload: UInt64(upload))
          }
        }
        try await group.waitForAll()
      }
      #expect(store.leftovers().isEmpty)
      await store.close()
      let again = try await openStore(try FileDisk(root: path))
      #expect(await again.takeProblems().isEmpty)
      for upload in 0..<40 {
        let bytes = pattern(lengths[upload % lengths.count], seed: UInt64(upload))
        #expect(try await again.load(upload: UInt64(upload)) == bytes)
      }
      let statistics = try await again.statistics()
      #expect(statistics.chunks == 40)
      #expect(statistics.capacityBytes > 0)
      try await again.delete(ChunkID(group: 7, upload: 4, index: 0))
      #expect(await code { _ = try await again.load(upload: 4) } == .deleted)
      await again.close()
    }
  }

  @Test("a directory that is in use is refused, by name")
  func doubleOpen() async throws {
    try await Self.withDirectory { path in
      let store = try await openStore(try FileDisk(root: path + "/deep/down"))
      let other = try FileDisk(root: path + "/deep/down")
      await #expect(throws: StoreError.self) { try await openStore(other) }
      #expect(await code { _ = try await openStore(other) } == .preconditionFailed)
      await store.close()
      await (try openStore(other)).close()
    }
  }

  @Test(
    "what is no regular file but has a segment's name, or the list's, is told of and keeps nobody waiting"
  )
  func noRegularFiles() async throws {
    try await Self.withDirectory { path in
      let store = try await openStore(try FileDisk(root: path))
      let bytes = pattern(70_000, seed: 1)
      try await store.store(bytes, upload: 1)
      await store.close()
      try FileManager.default.removeItem(atPath: path + "/" + SegmentList.path)
      let odd =
        [90, 91].map { path + "/" + StorePaths.segment($0) } + [path + "/" + SegmentList.path]
      for path in [odd[0], odd[2]] { #expect(mkfifo(path, 0o600) == 0) }
      #expect(mkdir(odd[1], 0o700) == 0)

      let again = try await openStore(try FileDisk(root: path))
      let problems = await again.takeProblems().map { "\(path)/\($0.path): \($0.message)" }
      for path in odd {
        #expect(problems.contains { $0.hasPrefix(path) && $0.contains("regular") }, "\(problems)")
      }
      #expect(try await again.load(upload: 1) == bytes)
      try await again.store(bytes, upload: 2)
      await again.close()
    }
  }

  @Test("directories on one file system have its room once")
  func sharedRoom() async throws {
    try await Self.withDirectory { path in
      let set = try await openSet(["a", "b"].map { try FileDisk(root: "\(path)/\($0)") })
      let one = try await set.disks[0].store.statistics()
      let both = try await set.statistics()
      #expect(both.capacityBytes == one.capacityBytes)
      #expect(both.freeBytes < both.capacityBytes)
      for disk in set.disks { disk.store.countAsFailing() }
      #expect(try await set.statistics().freeBytes == 0)
      await set.close()
    }
  }

  @Test("where room can't be set aside the file gets its length, and what is in it stays")
  func withoutRoomSetAside() async throws {
    try await Self.withDirectory { path in
      _ = try FileDisk(root: path)
      let file = try SystemCalls.create(path + "/file", direct: false)
      let bytes = pattern(10_000, seed: 1)
      try bytes.withUnsafeBytes { try file.write($0, at: 0) }
      var interruptions = 3
      try file.reserve(0..<20_000) { _, _, _ in
        interruptions -= 1
        errno = interruptions >= 0 ? EINTR : EOPNOTSUPP
        return -1
      }
      #expect(interruptions == -1)
      // A file that is longer is not cut.
      try file.reserve(0..<5_000) { _, _, _ in
        errno = EOPNOTSUPP
        return -1
      }
      let read = try file.read(at: 0, length: 30_000)
      #expect(Array(read.readableBytesView) == bytes + Array(repeating: 0, count: 10_000))
      // Nothing was written into it instead.
      #expect(try file.size().diskBytes < 20_000)
      var code: StoreError.Code?
      do throws(StoreError) {
        try file.reserve(0..<30_000) { _, _, _ in
          errno = ENOSPC
          return -1
        }
      } catch {
        code = error.code
      }
      #expect(code == .resourceExhausted)
      try file.reserve(0..<30_000)
      try file.reserve(30_000..<30_000)
      #expect(try file.size().bytes == 30_000)
    }
  }

  @Test("the system's errors keep their meaning")
  func errors() async throws {
    try await Self.withDirectory { path in
      let disk = try FileDisk(root: path)
      #expect(await code { _ = try await disk.open("nothing") } == .notFound)
      #expect(await code { try await disk.remove("nothing") } == .notFound)
      #expect(await code { _ = try await disk.list("nothing") } == .notFound)
      let file = try await disk.create("here", reserving: 0, direct: false)
      await file.close()
      #expect(
        await code { _ = try await disk.create("here", reserving: 0, direct: false) }
          == .alreadyExists)
      #expect(
        await code { _ = try await disk.create("huge", reserving: 1 << 55, direct: true) }
          != nil)
      #expect(try await disk.list("") == ["here"])
    }
  }
}
