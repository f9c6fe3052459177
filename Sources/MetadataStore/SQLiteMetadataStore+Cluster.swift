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
        StoredNode(
          record: NodeRecord(
            id: NodeID((row[0] as Int64).unsigned), address: row[1], zone: row[2]),
          heardMicroseconds: row[3], leftMicroseconds: row[4])
      }
    }
    return nodes.sorted { $0.record.id < $1.record.id }
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
      var next = (known.last?.id ?? 0) + 1
      return try wanted.map { members in
        defer { next += 1 }
        return try transaction.insert(
          PlacementGroup(id: next, epoch: 1, storageClass: storageClass, members: members))
      }
    }
  }

  package func figures() async throws(StoreError) -> StoreFigures {
    try await read { database in
      let total = try database.first(
        "SELECT coalesce(sum(entries), 0), coalesce(sum(bytes), 0) FROM buckets")
      let statement = try database.cachedStatement(
        sql: "SELECT id, chunks, bytes FROM placement_groups ORDER BY id")
      let groups = try Row.fetchAll(statement).map { row in
        GroupUsage(
          group: GroupID(truncatingIfNeeded: row[0] as Int64), chunks: (row[1] as Int64).unsigned,
          bytes: (row[2] as Int64).unsigned)
      }
      return StoreFigures(
        entries: (total?[0] as Int64?)?.unsigned ?? 0, bytes: (total?[1] as Int64?)?.unsigned ?? 0,
        groups: groups)
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
        let upload = (row[0] as Int64).unsigned
        let chunks = row.hasNull(atIndex: 2) ? nil : row.bytes(2)
        return Garbage(
          upload: upload, sinceMicroseconds: row[1],
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
      let id: Int64 = row[0]
      var reader = CompactReader(row.bytes(3))
      var members: [NodeID] = []
      while !reader.isAtEnd, let member = reader.number() { members.append(NodeID(member)) }
      let code = UInt8(truncatingIfNeeded: row[2] as Int64)
      guard let group = GroupID(exactly: id), reader.isAtEnd, !members.isEmpty,
        let storageClass = StoreModel.StorageClass(code: code)
      else {
        throw StoreError(.internal, "placement group \(id) in the Directory's database is damaged")
      }
      return PlacementGroup(
        id: group, epoch: (row[1] as Int64).unsigned, storageClass: storageClass, members: members)
    }
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
