import StoreModel
import Testing

@Suite("Rules")
struct RulesTests {
  @Test("names that differ in how an accent is composed are two names")
  func namesByBytes() throws {
    let composed = try Name(bucket: "b", key: "caf\u{E9}")
    let decomposed = try Name(bucket: "b", key: "cafe\u{301}")
    #expect(composed != decomposed)
    #expect(Set([composed, decomposed]).count == 2)
    #expect(decomposed < composed)
  }

  @Test("ids rise, never repeat, and come from blocks that were opened")
  func leases() {
    var leases = UploadLeases()
    #expect(leases.lease(1, now: 0) == nil)
    leases.opened(UploadLeases.Block(ids: 1..<101, openedMicroseconds: 0))
    #expect(leases.lease(60, now: 1) == 1..<61)
    #expect(leases.isUnused(61) && !leases.isUnused(60) && !leases.isUnused(101))
    #expect(leases.lease(41, now: 1) == nil, "an id range does not cross blocks")
    #expect(leases.lease(40, now: 1) == 61..<101)
    leases.opened(UploadLeases.Block(ids: 101..<201, openedMicroseconds: 5))
    leases.opened(UploadLeases.Block(ids: 1..<101, openedMicroseconds: 0))
    #expect(leases.lease(1, now: 5) == 101..<102, "an older block changes nothing")
    #expect(leases.lease(1, now: 5 + UploadLeases.blockMicroseconds) == nil, "an hour is enough")
  }

  @Test("a lease ends a day after its block was closed")
  func leaseEnd() {
    let day = UploadLeases.leaseMicroseconds
    #expect(!UploadLeases.isExpired(closed: nil, now: .max))
    #expect(!UploadLeases.isExpired(closed: 5, now: day + 4))
    #expect(UploadLeases.isExpired(closed: 5, now: day + 5))
  }

  static func manifest(_ lengths: [UInt32], checksum: UInt32 = 7) -> Manifest {
    Manifest(
      size: lengths.reduce(0) { $0 + UInt64($1) }, checksum: checksum, storageClass: .replica3,
      chunks: lengths.enumerated().map {
        Manifest.Chunk(
          id: ChunkID(group: 1, upload: 9, index: UInt32($0)), length: $1, checksum: 7)
      })
  }

  @Test("manifests that make sense are accepted")
  func goodManifests() throws {
    try ManifestRules.check(Self.manifest([], checksum: 0), upload: 9)
    try ManifestRules.check(Self.manifest([5]), upload: 9)
    try ManifestRules.check(Self.manifest([5, 5, 5]), upload: 9)
    try ManifestRules.check(Self.manifest([5, 5, 1], checksum: 1), upload: 9)
  }

  @Test("manifests that contradict themselves are refused")
  func badManifests() {
    var wrongSize = Self.manifest([5, 5])
    wrongSize.size = 11
    var wrongOrder = Self.manifest([5, 5])
    wrongOrder.chunks.swapAt(0, 1)
    var noGroup = Self.manifest([5])
    noGroup.chunks[0].id = ChunkID(group: 0, upload: 9, index: 0)
    let bad = [
      wrongSize, wrongOrder, noGroup, Self.manifest([]), Self.manifest([5], checksum: 8),
      Self.manifest([0]), Self.manifest([5, 4, 5]), Self.manifest([5, 6]),
      Self.manifest([ManifestRules.maxChunkBytes + 1]),
    ]
    for manifest in bad {
      #expect(throws: StoreError.self) { try ManifestRules.check(manifest, upload: 9) }
    }
    #expect(throws: StoreError.self) { try ManifestRules.check(Self.manifest([5]), upload: 8) }
  }

  @Test("only members that are up count as copies")
  func health() {
    let groups: [GroupID: PlacementGroup] = [
      1: PlacementGroup(
        id: 1, epoch: 1, storageClass: .replica3, members: [NodeID(1), NodeID(2), NodeID(3)]),
      2: PlacementGroup(id: 2, epoch: 1, storageClass: .replica3, members: [NodeID(1), NodeID(2)]),
      3: PlacementGroup(id: 3, epoch: 1, storageClass: .replica1, members: [NodeID(3)]),
      4: PlacementGroup(id: 4, epoch: 1, storageClass: .replica3, members: [NodeID(1), NodeID(9)]),
    ]
    let usage = [
      GroupUsage(group: 1, chunks: 1, bytes: 10), GroupUsage(group: 2, chunks: 2, bytes: 20),
      GroupUsage(group: 3, chunks: 4, bytes: 40), GroupUsage(group: 4, chunks: 0, bytes: 0),
      GroupUsage(group: 5, chunks: 8, bytes: 80),
    ]
    let allUp = ClusterHealth(groups: { groups[$0] }, usage: usage) { _ in .up }
    #expect(allUp.groupsBelowTarget == 2 && allUp.bytesBelowTarget == 100)
    #expect(allUp.chunksAtOneCopy == 4 && allUp.chunksUnavailable == 8)
    let states: [NodeID: NodeState] = [NodeID(1): .up, NodeID(2): .suspect, NodeID(3): .dead]
    let some = ClusterHealth(groups: { groups[$0] }, usage: usage) { states[$0] }
    #expect(some.groupsBelowTarget == 4 && some.bytesBelowTarget == 150)
    #expect(some.chunksAtOneCopy == 3 && some.chunksUnavailable == 12)
  }
}

@Suite("ListingQuery")
struct ListingQueryTests {
  @Test("keys fold at the first delimiter behind the prefix")
  func folding() throws {
    let query = try ListingQuery(bucket: "b", prefix: "a/", delimiter: "/")
    #expect(query.folded(Array("a/b/c".utf8)) == Array("a/b/".utf8))
    #expect(query.folded(Array("a/b".utf8)) == nil)
    #expect(query.folded(Array("a//".utf8)) == Array("a//".utf8))
    #expect(query.folded(Array("x/b/c".utf8)) == nil)
  }

  @Test("a page begins behind the last line of the page before")
  func starts() throws {
    func start(_ prefix: String, _ after: String) throws -> ListingQuery.Start? {
      try ListingQuery(bucket: "b", prefix: prefix, delimiter: "/", after: after).start
    }
    #expect(try start("p/", "") == .at(Array("p/".utf8)))
    #expect(try start("p/", "a") == .at(Array("p/".utf8)))
    #expect(try start("p/", "p/x") == .behind(Array("p/x".utf8)))
    #expect(try start("p/", "p/x/") == .at(Array("p/x0".utf8)))
    #expect(try start("p/", "p/x/y") == .at(Array("p/x0".utf8)))
    #expect(try start("p/", "q") == .behind(Array("q".utf8)))
  }

  @Test("the successor of a prefix is the least that is behind everything in it")
  func successors() {
    #expect(ListingQuery.successor(of: [1, 2]) == [1, 3])
    #expect(ListingQuery.successor(of: [1, 0xFF]) == [2])
    #expect(ListingQuery.successor(of: [0xFF]) == nil)
    #expect(ListingQuery.successor(of: []) == nil)
  }

  @Test("queries that no page answers are refused")
  func refusals() {
    let long = String(repeating: "x", count: 1_025)
    #expect(throws: StoreError.self) { try ListingQuery(bucket: "B") }
    #expect(throws: StoreError.self) { try ListingQuery(bucket: "b", prefix: long) }
    #expect(throws: StoreError.self) { try ListingQuery(bucket: "b", limit: 0) }
    #expect(throws: StoreError.self) { try ListingQuery(bucket: "b", limit: 1_001) }
  }
}
