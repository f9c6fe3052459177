import StoreModel
import Synchronization
import Testing

@testable import ChunkStore

@Suite("Which disks a node has")
struct DiskSetOpeningTests {
  /// Two disks of a node, one chunk on each at least.
  private static func two() async throws -> [MemoryDisk] {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    try await set.join(cluster: "c")
    for upload in 1...12 as ClosedRange<UInt64> { try await set.store([1], upload: upload) }
    await set.close()
    return disks
  }

  private static func error(_ body: () async throws -> Void) async -> StoreError? {
    do {
      try await body()
      return nil
    } catch {
      return error as? StoreError
    }
  }

  private static func add(_ disk: MemoryDisk, to disks: [MemoryDisk]) async throws {
    try await DiskSet.add(
      DiskSet.Member(path: "new", disk: disk),
      to: disks.enumerated().map { DiskSet.Member(path: "disk\($0)", disk: $1) },
      random: { 0xADD })
  }

  @Test("an empty directory where a disk was is reported and left alone, and the other disks serve")
  func unmounted() async throws {
    let disks = try await Self.two()
    let mountPoint = MemoryDisk()
    for _ in 1...2 {
      let set = try await openSet([disks[0], mountPoint])
      let problem = try #require(await set.takeProblems().first)
      #expect(problem.path == "disk1")
      for word in ["is empty", "was there", "mount it", "add-disk"] {
        #expect(problem.message.contains(word))
      }
      #expect(mountPoint.files.isEmpty)
      // What is not here may be there.
      #expect(await code { _ = try await set.load(upload: 99) } == .internal)
      await set.close()
    }
    let set = try await openSet(disks)
    #expect(try await set.statistics().chunks == 12)
  }

  @Test("an empty directory where no disk was is refused, and left alone")
  func strange() async throws {
    let disks = try await Self.two()
    let empty = MemoryDisk()
    let error = try #require(await Self.error { _ = try await openSet(disks + [empty]) })
    #expect(error.code == .preconditionFailed)
    #expect(error.message.contains("'disk2' is empty"))
    #expect(error.message.contains("add-disk"))
    #expect(empty.files.isEmpty)
  }

  @Test("a disk whose format file is damaged, or can't be written, keeps no other from serving")
  func damagedFormat() async throws {
    let disks = try await Self.two()
    disks[1].corrupt(StorePaths.format) { $0[20] ^= 1 }
    let set = try await openSet(disks)
    #expect(await set.takeProblems().map(\.path) == ["disk1"])
    #expect(set.cluster == "c")
    await set.close()
    #expect(await code { _ = try await openSet([disks[1]]) } == .dataLoss)
    // A new disk of the node that doesn't take the cluster's name down yet.
    let young = [MemoryDisk(), MemoryDisk()]
    await (try openSet(young)).close()
    let joined = try await openSet([young[0]])
    try await joined.join(cluster: "c")
    await joined.close()
    young[1].injectFaults {
      $0.kind == .write && $0.path == DataDirectory.temporary
        ? StoreError(.internal, "input/output error") : nil
    }
    let half = try await openSet(young)
    #expect(half.cluster == "c")
    #expect(await half.takeProblems().map(\.path).contains { $0.hasSuffix("disk1/format") })
    // So does the Directory say, each time the node registers.
    try await half.join(cluster: "c")
    #expect(await code { try await half.join(cluster: "d") } == .preconditionFailed)
  }

  @Test("a new disk is added on purpose, and belongs to the same node and cluster")
  func added() async throws {
    let disks = try await Self.two()
    let fresh = MemoryDisk()
    #expect(await code { _ = try await openSet(disks + [fresh]) } == .preconditionFailed)
    try await Self.add(fresh, to: disks)
    #expect(await code { try await Self.add(fresh, to: disks) } == .alreadyExists)
    let three = try await openSet(disks + [fresh], node: NodeID(99))
    #expect(three.node == testNode)
    #expect(await three.takeProblems().isEmpty)
    await three.close()
    let alone = try await openSet([fresh])
    #expect(alone.node == testNode)
    #expect(alone.cluster == "c")
    await alone.close()
    let foreign = MemoryDisk()
    foreign.corrupt("thesis.tex") { $0 = [1] }
    #expect(await code { try await Self.add(foreign, to: disks) } == .preconditionFailed)
    #expect(await code { try await Self.add(MemoryDisk(), to: [MemoryDisk()]) } == .notFound)
  }

  @Test("where no directory says which node it is and one can't be read, nothing is made anew")
  func noNumber() async throws {
    let disks = try await Self.two()
    for disk in disks {
      disk.injectFaults { _ in StoreError(.internal, "input/output error") }
    }
    let empty = MemoryDisk()
    for members in [disks, [disks[0], empty], [empty, disks[0]], [disks[0]]] {
      #expect(await code { _ = try await openSet(members) } == .internal)
    }
    #expect(empty.files.isEmpty)
    // One is enough to know.
    disks[1].injectFaults(nil)
    let set = try await openSet(disks, node: NodeID(99))
    #expect(set.node == testNode)
    #expect(await set.takeProblems().map(\.path) == ["disk0"])
    await set.close()
    // The one that could not be read is not forgotten.
    #expect(try await DiskList.read(on: disks[1])?.paths.count == 2)
  }

  @Test("a directory that can't even be opened doesn't keep the others from serving")
  func unusable() async throws {
    let disks = try await Self.two()
    let members = [
      DiskSet.Member(path: "gone", failure: StoreError(.internal, "input/output error")),
      DiskSet.Member(path: "here", disk: disks[1]),
    ]
    let set = try await DiskSet.open(
      members, clock: StillClock(), drawNode: { NodeID(99) }, random: { 1 })
    #expect(set.node == testNode)
    #expect(await set.takeProblems().map(\.path) == ["gone"])
  }

  @Test("a disk that is left out is reported once, and may come back")
  func leftOut() async throws {
    let disks = try await Self.two()
    for expected in [["disk1"], []] {
      let one = try await openSet([disks[0]])
      #expect(await one.takeProblems().map(\.path) == expected)
      await one.close()
    }
    for _ in 1...2 {
      let both = try await openSet(disks)
      #expect(await both.takeProblems().isEmpty)
      #expect(try await both.statistics().chunks == 12)
      await both.close()
    }
  }

  @Test("disks of earlier programs, which kept no list of them, get one")
  func earlier() async throws {
    let disks = try await Self.two()
    for disk in disks { try await disk.remove(StorePaths.disks) }
    #expect(await code { _ = try await openSet([disks[0], MemoryDisk()]) } == .preconditionFailed)
    disks[1].corrupt(StorePaths.disks) { $0 = [1] }
    await (try openSet(disks)).close()
    for disk in disks { #expect(try await DiskList.read(on: disk)?.paths.count == 2) }
  }

  @Test("cut at every call of the first start, or of one with a disk more, it starts the next time")
  func cuts() async throws {
    for cut in 0..<60 {
      let disks = [MemoryDisk(), MemoryDisk(), MemoryDisk()]
      let calls = Mutex(0)
      for disk in disks {
        disk.injectFaults { _ in
          let number = calls.withLock { calls in
            calls += 1
            return calls
          }
          return number > cut ? StoreError(.internal, "the power is gone") : nil
        }
      }
      _ = try? await openSet(Array(disks[..<2]))
      for disk in disks { disk.crash { ($0 + cut) % 3 == 0 } }
      var set = try await openSet(Array(disks[..<2]), node: NodeID(77))
      let node = set.node
      try await set.store([1], upload: 1)
      for disk in disks { disk.crash { ($0 + cut) % 2 == 0 } }

      disks[2].stop(atCall: disks[2].calls + cut)
      try? await Self.add(disks[2], to: Array(disks[..<2]))
      for disk in disks { disk.crash { ($0 + cut) % 3 == 0 } }
      if await code({ try await Self.add(disks[2], to: Array(disks[..<2])) }) != nil {
        #expect(disks[2].contents(of: StorePaths.format) != nil)
      }
      set = try await openSet(disks)
      #expect(set.node == node)
      #expect(try await set.load(upload: 1) == [1])
      await set.close()
    }
  }

  @Test("paths are kept as people gave them, but for what ends a line")
  func paths() {
    let list = DiskList(paths: [7: "/disk one", 0xFF: "/a\nb"])
    #expect(DiskList(parsing: list.text)?.paths == [7: "/disk one", 0xFF: "/a b"])
    #expect(DiskList(parsing: list.text.replacing("one", with: "two")) == nil)
  }

  @Test("a disk that has lost its format file keeps no other from serving")
  func formatGone() async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    for upload in 1...8 as ClosedRange<UInt64> { try await set.store([1, 2], upload: upload) }
    await set.close()
    try await disks[1].remove(StorePaths.format)
    let again = await code { _ = try await openSet(disks) }
    #expect(again == nil)
  }

  @Test(
    "a disk of which something can't be made keeps no other from serving", arguments: [true, false])
  func oddDisk(isFile: Bool) async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    for upload in 1...8 as ClosedRange<UInt64> { try await set.store([1, 2], upload: upload) }
    await set.close()
    if isFile {
      for path in disks[1].files where path.hasPrefix("segments/") {
        try await disks[1].remove(path)
      }
      disks[1].corrupt("segments") { $0 = [1] }
    } else {
      disks[1].injectFaults {
        $0.kind == .list && $0.path.isEmpty ? StoreError(.notFound, "no such directory") : nil
      }
    }
    #expect(await code { _ = try await openSet(disks) } == nil)
  }

  @Test(
    "a disk whose format file is cut or blank keeps no other from serving",
    arguments: [0, 1, 5, 16, 30, 60, 85, -1])
  func formatCut(bytes: Int) async throws {
    let disks = [MemoryDisk(), MemoryDisk()]
    let set = try await openSet(disks)
    for upload in 1...8 as ClosedRange<UInt64> { try await set.store([1, 2], upload: upload) }
    await set.close()
    disks[1].corrupt(StorePaths.format) { file in
      if bytes < 0 {
        file = [UInt8](repeating: 0, count: file.count)
      } else {
        file = Array(file.prefix(bytes))
      }
    }
    #expect(await code { _ = try await openSet(disks) } == nil)
    let one = await code { _ = try await openStore(disks[1]) }
    #expect(one == .dataLoss)
  }
}
