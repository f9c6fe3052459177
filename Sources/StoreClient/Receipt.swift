public import StoreModel

/// What the store acknowledges of an upload: the entry is published, and its chunks are on these nodes.
public struct Receipt: Sendable, Hashable {
  /// The new version of the name, with size and checksum.
  public var entry: Entry
  /// The least number of copies that any of its chunks has; the target for an empty file.
  public var copies: Int
  /// The copies that its storage class aims at. Greater than `copies` while nodes are missing.
  public var targetCopies: Int
  /// Every copy and the entry were on disk before the acknowledgement.
  public var fsynced: Bool
  /// The nodes that hold its chunks, in ascending order.
  public var nodes: [NodeID]

  /// Makes a receipt.
  public init(entry: Entry, copies: Int, targetCopies: Int, fsynced: Bool, nodes: [NodeID]) {
    self.entry = entry
    self.copies = copies
    self.targetCopies = targetCopies
    self.fsynced = fsynced
    self.nodes = nodes
  }
}

/// What is known of a name without reading its bytes.
public struct FileStatus: Sendable, Hashable {
  /// The name's present version.
  public var entry: Entry
  /// The least number of copies that any of its chunks has, by its groups' members.
  public var copies: Int
  /// The copies that its storage class aims at.
  public var targetCopies: Int
  /// Chunks that it consists of; 0 for an empty file.
  public var chunks: Int

  /// Makes a status.
  public init(entry: Entry, copies: Int, targetCopies: Int, chunks: Int) {
    self.entry = entry
    self.copies = copies
    self.targetCopies = targetCopies
    self.chunks = chunks
  }
}

/// How far a transfer has come.
public struct TransferProgress: Sendable, Hashable {
  /// Bytes that were acknowledged by nodes, or handed to the sink.
  public var bytesDone: UInt64
  /// Bytes in all; nil when the source doesn't say.
  public var bytesTotal: UInt64?

  /// Makes a report.
  public init(bytesDone: UInt64, bytesTotal: UInt64?) {
    self.bytesDone = bytesDone
    self.bytesTotal = bytesTotal
  }
}
