/// The ids that uploads are leased: rising, never given twice, in blocks that were made durable first.
///
/// Before any id of a block is given out the block is on disk, so that a restart begins above it; giving
/// out ids of an open block costs nothing. A value that decides: it says when a new block is needed.
public struct UploadLeases: Sendable, Hashable {
  /// Ids that are reserved together: a restart loses at most so many.
  public static let blockIDs: UInt64 = 16_384
  /// How long an upload may last, from its lease to its commit, in microseconds: a day.
  public static let leaseMicroseconds: Int64 = 86_400_000_000
  /// How long ids are given out of one block, in microseconds: an hour. A lease's end is reckoned from
  /// the end of its block's time, so leases last at most so much longer than promised.
  public static let blockMicroseconds: Int64 = 3_600_000_000
  /// The most ids of one lease.
  public static let maxCount: UInt64 = 1_024

  /// A reserved range of ids.
  public struct Block: Sendable, Hashable {
    /// Its ids.
    public var ids: Range<UploadID>
    /// When it was reserved, in microseconds since 1970.
    public var openedMicroseconds: Int64

    /// Makes a block.
    public init(ids: Range<UploadID>, openedMicroseconds: Int64) {
      self.ids = ids
      self.openedMicroseconds = openedMicroseconds
    }
  }

  /// The block that ids are given from; nil until one was reserved.
  public private(set) var open: Block?
  /// The next id of the open block.
  public private(set) var next: UploadID

  /// No block is open: the first lease needs one.
  public init() {
    open = nil
    next = 1
  }

  /// Gives out `count` ids that follow each other; nil when a new block must be reserved first.
  public mutating func lease(_ count: UInt64, now: Int64) -> Range<UploadID>? {
    precondition((1...Self.maxCount).contains(count), "a lease has 1 to \(Self.maxCount) ids")
    guard let open, now - open.openedMicroseconds < Self.blockMicroseconds,
      open.ids.upperBound - next >= count
    else { return nil }
    defer { next += count }
    return next..<(next + count)
  }

  /// A block that is on disk takes the place of the one before, unless a newer one did so already.
  public mutating func opened(_ block: Block) {
    if let open, open.ids.lowerBound >= block.ids.lowerBound { return }
    open = block
    next = block.ids.lowerBound
  }

  /// Whether ids from the open block's unused rest up to its end were not given out yet.
  public func isUnused(_ upload: UploadID) -> Bool {
    guard let open else { return false }
    return upload >= next && upload < open.ids.upperBound
  }

  /// Whether the lease of an id has ended, when the block it came from was closed at `closed` (nil: it
  /// is open still).
  public static func isExpired(closed: Int64?, now: Int64) -> Bool {
    guard let closed else { return false }
    return now - closed >= leaseMicroseconds
  }
}
