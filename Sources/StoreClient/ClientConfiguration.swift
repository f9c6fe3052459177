/// How a `StoreClient` goes about its work: how much at once, how big, how long.
///
/// The defaults hold an upload or a download to about 40 MiB of buffers whatever the file's size: the
/// chunks in flight and the one that is being gathered or handed on.
public struct ClientConfiguration: Sendable {
  /// Chunks sent at the same time by one upload; at least 1. Each holds its bytes in memory.
  public var chunksInFlight = 4
  /// Chunks that one download holds or fetches at the same time, the one that is handed on among them;
  /// at least 1. Their bytes stand in the network's buffers, which may be twice as large.
  public var chunksReadAhead = 3
  /// Bytes of a chunk that go into one message, 64 KiB to 1 MiB.
  public var pieceBytes = 512 << 10
  /// How often a chunk is sent before the upload is given up, each time to other nodes.
  public var writeAttempts = 8
  /// How often every replica of a chunk is tried before a download is given up.
  public var readRounds = 3
  /// How long a node may take to store one chunk on all its replicas.
  public var putTimeout = Duration.seconds(30)
  /// How long a node may take to send one chunk, before the next replica is asked.
  public var getTimeout = Duration.seconds(10)
  /// How long one attempt of a call to the Directory may take.
  public var directoryTimeout = Duration.seconds(10)
  /// How long a Directory that has answered before is asked again while it is away.
  public var directoryPatience = Duration.seconds(30)
  /// How long a Directory that is away, or has too few nodes, is asked for a new upload.
  public var newUploadPatience = Duration.seconds(10)
  /// How long a Directory that never answered is asked again.
  public var firstContactPatience = Duration.seconds(3)
  /// The first delay before a call is made again; doubles up to `maxRetryDelay`, with jitter.
  public var retryDelay = Duration.milliseconds(50)
  /// The longest delay before a call is made again.
  public var maxRetryDelay = Duration.seconds(2)
  /// How long a node that failed is tried last, and not written to.
  public var nodePenalty = Duration.seconds(10)
  /// The most upload ids held at hand for files to come, 1 to 1,024.
  public var maxLeasedUploads: UInt32 = 256
  /// How long groups that were offered for writing are used for new files: after that the client asks
  /// again, so that it learns of nodes that came back.
  public var leasedGroupsLifetime = Duration.seconds(10)
  /// Groups that one upload spreads its chunks over, 1 to 16.
  public var groupsPerUpload: UInt32 = 4

  /// The defaults.
  public init() {}
}
