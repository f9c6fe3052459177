import GRDB
package import StoreModel

/// The most groups: bounds the memory that the Directory keeps for them.
private let maxGroups = 1_000_000

extension SQLiteMetadataStore {
  package func nodes() async throws(StoreError) -> [StoredNode] {
    let nodes = try await read { database in
      let statement = try database.cachedStatement(
        sql: "SELECT id, address, zone, heard_us, left_us FROM nodes")
      return try Row.fetchAll(statement).map { row in
        let id = NodeID(try row.integer(0, of: "a node").unsigned)
        let subject = "node \(id)"
        return StoredNode(
          record: NodeRecord(
            id: id, address: try row.text(1, of: subject), zone: try row.text(2, of: subject)),
          heardMicroseconds: try row.integer(3, in: Row.times, of: subject),
          leftMicroseconds: try row.optionalInteger(4, in: Row.times, of: subject))
      }
    }.sorted { $0.record.id < $1.record.id }
    for (node, next) in zip(nodes, nodes.dropFirst()) where node.record.id == next.record.id {
      throw .damaged("node \(node.record.id) is there twice")
    }
    return nodes
  }

  package func save(_ node: StoredNode) async throws(StoreError) {
    try await writer.change { transaction in
      try transaction.database.run(
        "INSERT OR REPLACE INTO nodes (id, address, zone, heard_us, left_us) "
          + "VALUES (?, ?, ?, ?, ?)",
        [
          node.record.id.value.stored, node.record.address, node.record.zone,
          node.heardMicroseconds, node.leftMicroseconds,
        ])
    }
  }

  package func groups() async throws(StoreError) -> [PlacementGroup] {
    try await read { try $0.placementGroups() }
  }

  package func createGroups(
    _ storageClass: StorageClass,
    _ decide: @escaping @Sendable ([PlacementGroup]) throws(StoreError) -> [[NodeID]]
  ) async throws(StoreError) -> [PlacementGroup] {
    try await writer.change { transaction in
      let known = try transaction.database.placementGroups()
      let wanted = try decide(known)
      guard known.count + wanted.count <= maxGroups else {
        throw StoreError(.resourceExhausted, "there are \(known.count) placement groups already")
      }
      var next = UInt64(known.last?.id ?? 0)
      return try wanted.map { members in
        next += 1
        guard let id = GroupID(exactly: next) else {
          throw StoreError.damaged("placement group \(next - 1) has the last number there is")
        }
        return try transaction.insert(
          PlacementGroup(id: id, epoch: 1, storageClass: storageClass, members: members))
      }
    }
  }

  package func figures() async throws(StoreError) -> StoreFigures {
    try await read { database in
      let total = try database.bucketTotals()
      let statement = try database.cachedStatement(
        sql: "SELECT id, chunks, bytes FROM placement_groups ORDER BY id")
      let groups = try Row.fetchAll(statement).map { row in
        let id = try row.groupID(0)
        let subject = "placement group \(id)"
        return GroupUsage(
          group: id, chunks: try row.integer(1, in: Row.counts, of: subject).unsigned,
          bytes: try row.integer(2, in: Row.counts, of: subject).unsigned)
      }
      // Whoever adds them up may rely on it that they can be.
      for place in [\GroupUsage.chunks, \.bytes] {
        var sum: UInt64 = 0
        for group in groups {
          sum += group[keyPath: place]
          guard sum <= Row.counts.upperBound.unsigned else {
            throw StoreError.damaged("its placement groups hold more than there can be")
          }
        }
      }
      return StoreFigures(entries: total.entries, bytes: total.bytes, groups: groups)
    }
  }

  package func garbage(
    after upload: UploadID, limit: Int
  ) async throws(StoreError) -> [Garbage] {
    try await read { database in
      let statement = try database.cachedStatement(
        sql: "SELECT upload, since_us, chunks FROM garbage WHERE upload > ? ORDER BY upload LIMIT ?"
      )
      return try Row.fetchAll(statement, arguments: [upload.stored, limit]).map { row in
        let upload = try row.integer(0, in: Row.uploads, of: "garbage").unsigned
        let subject = "the garbage of upload \(upload)"
        let chunks = try row.optionalBytes(2, of: subject)
        return Garbage(
          upload: upload, sinceMicroseconds: try row.integer(1, in: Row.times, of: subject),
          chunks: try chunks.map { try ManifestCoding.decode($0, upload: upload).map(\.id) })
      }
    }
  }
}

extension Database {
  fileprivate func placementGroups() throws -> [PlacementGroup] {
    let statement = try cachedStatement(
      sql: "SELECT id, epoch, class, members FROM placement_groups ORDER BY id")
    return try Row.fetchAll(statement).map { row in
      let id = try row.groupID(0)
      let subject = "placement group \(id)"
      var reader = CompactReader(try row.bytes(3, of: subject))
      var members: [NodeID] = []
      while !reader.isAtEnd, let member = reader.number() { members.append(NodeID(member)) }
      let code = UInt8(try row.integer(2, in: 0...255, of: subject))
      guard reader.isAtEnd, !members.isEmpty, Set(members).count == members.count else {
        throw StoreError.damaged("\(subject) has members that make no sense")
      }
      guard let storageClass = StoreModel.StorageClass(code: code) else {
        throw StoreError.damaged("\(subject) is of class \(code), which there isn't")
      }
      return PlacementGroup(
        id: id, epoch: try row.integer(1, in: 1...Row.counts.upperBound, of: subject).unsigned,
        storageClass: storageClass, members: members)
    }
  }

  /// Entries and bytes of all buckets. SQLite adds them up; one that can't be added is looked for first.
  fileprivate func bucketTotals() throws -> (entries: UInt64, bytes: UInt64) {
    let damaged = try first(
      "SELECT name, entries, bytes FROM buckets WHERE typeof(entries) <> 'integer' "
        + "OR typeof(bytes) <> 'integer' OR entries NOT BETWEEN 0 AND ?1 "
        + "OR bytes NOT BETWEEN 0 AND ?1 LIMIT 1", [Row.counts.upperBound])
    if let damaged {
      let subject = "bucket '\(try damaged.text(0, of: "a bucket"))'"
      for column in 1...2 { _ = try damaged.integer(column, in: Row.counts, of: subject) }
    }
    let total = try first(
      "SELECT coalesce(sum(entries), 0) AS entries, coalesce(sum(bytes), 0) AS bytes FROM buckets")
    let subject = "the sum of all buckets"
    return (
      try total?.integer(0, in: 0...Int64.max, of: subject).unsigned ?? 0,
      try total?.integer(1, in: 0...Int64.max, of: subject).unsigned ?? 0
    )
  }
}

extension Row {
  /// A placement group's number.
  fileprivate func groupID(_ column: Int) throws(StoreError) -> GroupID {
    let number = try integer(column, in: 1...Int64(GroupID.max), of: "a placement group")
    return GroupID(truncatingIfNeeded: number)
  }
}

extension WriteTransaction {
  fileprivate func insert(_ group: PlacementGroup) throws -> PlacementGroup {
    var members = CompactWriter()
    for member in group.members { members.number(member.value) }
    try database.run(
      "INSERT INTO placement_groups (id, epoch, class, members, chunks, bytes) "
        + "VALUES (?, ?, ?, ?, 0, 0)",
      [
        Int64(group.id), group.epoch.stored, Int64(group.storageClass.code), members.bytes.stored,
      ])
    return group
  }
}
