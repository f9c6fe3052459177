package import StoreModel

/// What a Directory may be told.
package struct DirectoryConfiguration: Sendable {
  /// Bytes of a chunk, 64 KiB to 64 MiB: each of a file's chunks but the last has this length.
  package var chunkBytes: UInt32
  /// How often nodes report.
  package var heartbeatInterval: Duration
  /// How long nodes may be silent.
  package var liveness: LivenessLimits
  /// What placement aims at.
  package var placement: PlacementRules

  /// 8 MiB, 2 s, and the defaults of liveness and placement without arguments.
  package init(
    chunkBytes: UInt32 = 8 << 20, heartbeatInterval: Duration = .seconds(2),
    liveness: LivenessLimits = LivenessLimits(), placement: PlacementRules = PlacementRules()
  ) {
    precondition(
      (64 << 10...ManifestRules.maxChunkBytes).contains(chunkBytes), "a chunk has 64 KiB to 64 MiB")
    precondition(heartbeatInterval > .zero, "nodes report at intervals")
    self.chunkBytes = chunkBytes
    self.heartbeatInterval = heartbeatInterval
    self.liveness = liveness
    self.placement = placement
  }
}

/// What a request may hold at most: what a peer can make grow has a limit.
enum RequestLimits {
  /// Nodes of one cluster.
  static let maxNodes = 10_000
  /// Bytes of a node's address: a DNS name and a port.
  static let maxAddressBytes = 262
  /// Bytes of a zone's name.
  static let maxZoneBytes = 63
  /// Nodes that one upload avoids.
  static let maxAvoidedNodes = 1_024

  /// Checks how a node wants to be recorded.
  ///
  /// - Throws: `StoreError.invalidArgument` that says what is wrong.
  static func check(_ record: NodeRecord) throws(StoreError) {
    guard record.id != NodeID(0) else {
      throw StoreError(.invalidArgument, "a node's number is not 0")
    }
    guard (1...maxAddressBytes).contains(record.address.utf8.count),
      record.address.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    else {
      throw StoreError(
        .invalidArgument,
        "a node's address has 1 to \(maxAddressBytes) visible ASCII characters, such as HOST:PORT")
    }
    guard record.zone.utf8.count <= maxZoneBytes, record.zone.utf8.allSatisfy({ $0 >= 0x20 }) else {
      throw StoreError(
        .invalidArgument,
        "a zone's name has at most \(maxZoneBytes) bytes and no control characters")
    }
  }
}
