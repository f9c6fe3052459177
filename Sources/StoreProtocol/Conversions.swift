public import StoreModel

// From the schema's twins to the model and back. What came over the wire is checked on its way to the
// model, so that everything behind it can trust its values.

extension WireName {
  /// The name as a message.
  public init(_ name: Name) {
    self.init(bucket: name.bucket, key: name.key)
  }
}

extension Name {
  /// Checks a name that came in a message.
  ///
  /// - Throws: `StoreError.invalidArgument` that says what is wrong with it.
  public init(_ wire: WireName?) throws(StoreError) {
    guard let wire else { throw StoreError(.invalidArgument, "the name is missing") }
    try self.init(bucket: wire.bucket, key: wire.key)
  }
}

extension WireChunkId {
  /// The id as a message.
  public init(_ id: ChunkID) {
    self.init(group: id.group, upload: id.upload, index: id.index)
  }
}

extension ChunkID {
  /// Checks an id that came in a message.
  ///
  /// - Throws: `StoreError.invalidArgument` when it is missing or names no group or upload.
  public init(_ wire: WireChunkId?) throws(StoreError) {
    guard let wire, wire.group != 0, wire.upload != 0 else {
      throw StoreError(.invalidArgument, "the chunk's id is missing or incomplete")
    }
    self.init(group: wire.group, upload: wire.upload, index: wire.index)
  }
}

extension WireManifest {
  /// The manifest as a message.
  public init(_ manifest: Manifest) {
    self.init(
      size: manifest.size, checksum: manifest.checksum,
      storageClass: manifest.storageClass.rawValue,
      chunks: manifest.chunks.map { chunk in
        WireManifestChunk(
          id: WireChunkId(chunk.id), length: chunk.length, checksum: chunk.checksum)
      })
  }
}

extension Manifest {
  /// Checks the parts of a manifest that came in a message; `check` tells whether they fit together.
  ///
  /// - Throws: `StoreError.invalidArgument` that says what is wrong.
  public init(_ wire: WireManifest?) throws(StoreError) {
    guard let wire else { throw StoreError(.invalidArgument, "the manifest is missing") }
    var chunks: [Chunk] = []
    chunks.reserveCapacity(wire.chunks.count)
    for chunk in wire.chunks {
      chunks.append(
        Chunk(id: try ChunkID(chunk.id), length: chunk.length, checksum: chunk.checksum))
    }
    self.init(
      size: wire.size, checksum: wire.checksum,
      storageClass: try StorageClass(named: wire.storageClass), chunks: chunks)
  }
}

extension WireEntry {
  /// The entry as a message.
  public init(_ entry: Entry) {
    self.init(
      name: WireName(entry.name), version: entry.version, size: entry.size,
      checksum: entry.checksum, storageClass: entry.storageClass.rawValue,
      modifiedUs: entry.modifiedMicroseconds)
  }
}

extension Entry {
  /// Checks an entry that came in a message.
  ///
  /// - Throws: `StoreError.invalidArgument` that says what is wrong.
  public init(_ wire: WireEntry?) throws(StoreError) {
    guard let wire else { throw StoreError(.invalidArgument, "the entry is missing") }
    self.init(
      name: try Name(wire.name), version: wire.version, size: wire.size, checksum: wire.checksum,
      storageClass: try StorageClass(named: wire.storageClass),
      modifiedMicroseconds: wire.modifiedUs)
  }
}

extension WireCondition {
  /// The condition as a message; nil for none.
  public init?(_ condition: Condition) {
    switch condition {
    case .none: return nil
    case .absent: self.init(kind: .absent(true))
    case .version(let version): self.init(kind: .version(version))
    }
  }
}

extension Condition {
  /// The condition that came in a message; none when it is missing.
  public init(_ wire: WireCondition?) {
    switch wire?.kind {
    case .absent(true): self = .absent
    case .version(let version): self = .version(version)
    case .absent(false), nil: self = .none
    }
  }
}

extension WireNodeStatistics {
  /// The statistics as a message.
  public init(_ statistics: NodeStatistics) {
    self.init(
      capacityBytes: statistics.capacityBytes, freeBytes: statistics.freeBytes,
      usedBytes: statistics.usedBytes, chunks: statistics.chunks)
  }
}

extension NodeStatistics {
  /// The statistics that came in a message; all zero when they are missing.
  public init(_ wire: WireNodeStatistics?) {
    self.init(
      capacityBytes: wire?.capacityBytes ?? 0, freeBytes: wire?.freeBytes ?? 0,
      usedBytes: wire?.usedBytes ?? 0, chunks: wire?.chunks ?? 0)
  }
}

extension WireNodeState {
  /// The state as the schema's enum.
  public init(_ state: NodeState) {
    self =
      switch state {
      case .up: .up
      case .suspect: .suspect
      case .dead: .dead
      }
  }
}

extension NodeState {
  /// The state that came in a message; nil when it is none of those known here.
  public init?(_ wire: WireNodeState) {
    switch wire {
    case .up: self = .up
    case .suspect: self = .suspect
    case .dead: self = .dead
    case .unspecified, .UNRECOGNIZED: return nil
    }
  }
}
