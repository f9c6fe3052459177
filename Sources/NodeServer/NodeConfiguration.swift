package import RPC

/// How a node is set up.
package struct NodeConfiguration: Sendable {
  /// Where it listens; port 0 for any.
  package var listen: Address
  /// Where others reach it; nil: where it listens.
  package var advertise: Address?
  /// Where the Directory listens.
  package var directory: Address
  /// The failure zone it stands in; may be empty.
  package var zone: String
  /// How long a writer may send nothing before its put is given up.
  package var writerIdleLimit: Duration = .seconds(30)
  /// How long a writer may send nothing, or next to nothing, while others wait for the memory that its put has.
  package var writerPatience: Duration = .seconds(2)
  /// How long another replica may take nothing, or not answer, before it counts as failed.
  package var replicaIdleLimit: Duration = .seconds(15)
  /// How often it looks for damaged chunks, to fetch good copies from other replicas.
  package var healInterval: Duration = .seconds(10)
  /// How long, once told to stop, it tries to say so to the Directory.
  package var leaveLimit: Duration = .seconds(2)
  /// What its connections take.
  package var connection = ConnectionConfiguration()

  /// Sets a node up with the defaults above.
  package init(
    listen: Address, advertise: Address? = nil, directory: Address, zone: String = ""
  ) {
    self.listen = listen
    self.advertise = advertise
    self.directory = directory
    self.zone = zone
  }
}

/// What a node takes from those who call it.
enum NodeLimits {
  /// Bytes of one piece of a chunk: what keeps calls on one connection from waiting long for each other.
  static let maxPieceBytes = 1 << 20
  /// Other replicas that one put may name: more than any storage class has.
  static let maxForwards = 8
  /// Blocks in one message of GetChunk: 256 KiB stay in the second-level cache from disk to socket.
  static let blocksAMessage = 4
  /// Chunks in one message of ListChunks.
  static let chunksAMessage = 500
  /// The least rate at which a writer sends while others wait for the memory that its put has.
  static let leastBytesPerSecond = 64 << 10
  /// Pieces that wait for one other replica while it takes the piece before.
  static let queuedPieces = 4
}
