#if os(Linux)
  import StoreModel
  import Testing

  @testable import ChunkStore

  @Suite("Syncs of real files", .serialized)
  struct SyncTests {
    /// Lengths of small chunks and of large ones, also of such that need more than one buffer.
    private static let lengths = [1, 4_096, 65_000, 70_000, 300_000, (2 << 20) + 5]

    /// The names of the segments that a log knows.
    private static func segments(in log: CallLog) -> Set<String> {
      Set(
        log.entries.compactMap { entry in
          guard case .write(let path, _) = entry, path.hasSuffix(".segment") else { return nil }
          return path
        })
    }

    @Test("what is acknowledged was synced after the last write to any segment")
    func oneByOne() async throws {
      var told = 0
      let log = try await CallLog.log { path in
        let store = try await openStore(try FileDisk(root: path), segmentBytes: 1 << 20)
        for upload in 1...18 as ClosedRange<UInt64> {
          let bytes = pattern(Self.lengths[Int(upload) % Self.lengths.count], seed: upload)
          try await store.store(bytes, upload: upload)
          CallLog.note("stored \(upload)")
        }
        for upload in 1...18 as ClosedRange<UInt64> {
          try await store.delete(.test(upload))
          CallLog.note("deleted \(upload)")
        }
        await store.close()
      }
      let segments = Self.segments(in: log)
      #expect(segments.count > 1)
      var last: [String: Int] = [:]
      for (place, entry) in log.entries.enumerated() {
        switch entry {
        case .write(let path, _) where segments.contains(path): last[path] = place
        case .note(let text):
          told += 1
          for (path, write) in last {
            #expect(log.isSynced(path, within: write..<place), "\(text): \(path) was not synced")
          }
        default: continue
        }
      }
      #expect(told == 36 && !last.isEmpty)
    }

    @Test("of many at once each is told that a chunk is stored after a sync that began behind it")
    func atOnce() async throws {
      var places: [UInt64: RecordPlace] = [:]
      let log = try await CallLog.log { path in
        let store = try await openStore(try FileDisk(root: path), segmentBytes: 8 << 20)
        try await withThrowingTaskGroup(of: Void.self) { group in
          for upload in 1...60 as ClosedRange<UInt64> {
            group.addTask {
              let length = Self.lengths[Int(upload) % Self.lengths.count]
              try await store.store(pattern(length, seed: upload), upload: upload)
              CallLog.note("stored \(upload)")
            }
          }
          try await group.waitForAll()
        }
        for upload in 1...60 as ClosedRange<UInt64> { places[upload] = store.place(upload: upload) }
        await store.close()
      }
      for upload in 1...60 as ClosedRange<UInt64> {
        let place = try #require(places[upload])
        let length = Self.lengths[Int(upload) % Self.lengths.count]
        let chunk = try newChunk(upload, bytes: Array(repeating: 0, count: length))
        let isSmall =
          RecordHeader.bytes(for: chunk, isAligned: false) + length <= Segment.maxGatheredBytes
        let record =
          place.offset..<place.offset + RecordHeader.bytes(for: chunk, isAligned: !isSmall) + length
        let path = StorePaths.segment(place.segment)
        let told = try #require(log.place(ofNote: "stored \(upload)"))
        let writes = log.writes(to: path, touching: record)
        let last = try #require(writes.places.last)
        #expect(writes.bytes == record.count)
        #expect(last < told && log.isSynced(path, within: last..<told), "chunk \(upload)")
      }
    }

    @Test("before the first record of a segment its header is synced, then the list and the names")
    func newSegments() async throws {
      let log = try await CallLog.log { path in
        let store = try await openStore(try FileDisk(root: path), segmentBytes: 1 << 20)
        for upload in 1...12 as ClosedRange<UInt64> {
          try await store.store(pattern(200_000, seed: upload), upload: upload)
        }
        await store.close()
      }
      let segments = Self.segments(in: log)
      #expect(segments.count > 1)
      for path in segments {
        let header = log.writes(to: path, touching: 0..<SegmentHeader.bytes)
        let records = log.writes(to: path, touching: SegmentHeader.bytes..<Int.max)
        let (begun, first) = (try #require(header.places.first), try #require(records.places.first))
        try #require(begun < first)
        #expect(header.places.count == 1)
        let listed = log.entries[begun..<first].firstIndex {
          guard case .rename(_, SegmentList.path) = $0 else { return false }
          return true
        }
        let list = try #require(listed, "\(path) has records and is not listed")
        #expect(log.isSynced(path, within: begun..<list), "the header of \(path)")
        #expect(log.isSynced(StorePaths.segments, within: list..<first), "the name of \(path)")
      }
    }

    @Test("a file takes another's place after its sync, and is relied on after its directory's")
    func published() async throws {
      let log = try await CallLog.log { path in
        let disks = try ["one", "two"].map { try FileDisk(root: "\(path)/\($0)") }
        let set = try await openSet(disks)
        CallLog.note("opened")
        try await set.join(cluster: "c")
        CallLog.note("joined")
        try await DeletionList([]).write(on: disks[0])
        CallLog.note("deletions kept")
        for upload in 1...8 as ClosedRange<UInt64> {
          try await set.store(pattern(9_000, seed: upload), upload: upload)
          CallLog.note("stored")
        }
        await set.close()
        CallLog.note("closed")
      }
      var published: Set<String> = []
      for (place, entry) in log.entries.enumerated() {
        guard case .rename(let source, let target) = entry else { continue }
        published.insert(target)
        let parts = target.split(separator: "/")
        let writes = log.writes(to: source, touching: 0..<Int.max).places.filter { $0 < place }
        let last = try #require(writes.last, "\(target) is empty")
        #expect(log.isSynced(source, within: last..<place), "\(target) was not synced")
        let told = log.entries[place...].firstIndex {
          guard case .note = $0 else { return false }
          return true
        }
        let parent = parts.dropLast().joined(separator: "/")
        #expect(log.isSynced(parent, within: place..<(try #require(told))), "the name of \(target)")
      }
      for file in [StorePaths.format, StorePaths.disks, SegmentList.path] {
        #expect(published.isSuperset(of: ["one/\(file)", "two/\(file)"]), "\(file)")
      }
      #expect(published.contains("one/\(StorePaths.deletions)"))
    }

    @Test("a data directory that is made is durable with its parents")
    func parents() async throws {
      let log = try await CallLog.log { path in
        _ = try FileDisk(root: path + "/a/b/c")
      }
      for parent in [".", "a", "a/b"] {
        #expect(log.isSynced(parent, within: 0..<log.entries.count), "\(parent)")
      }
    }
  }
#endif
