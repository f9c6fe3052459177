import StoreModel
import Synchronization

/// Which calls a disk has not answered yet, and since when the oldest of them is known.
///
/// No call's beginning is looked up on a clock: whoever asks now and then sees the same call for so long.
struct CallsUnderWay: Sendable {
  /// A disk that doesn't answer a call for longer is silent, in nanoseconds.
  static let longestSilence: UInt64 = 30_000_000_000

  private var calls: Set<UInt64> = []
  private var next: UInt64 = 0
  /// The oldest call when somebody asked last, and when it was the oldest first.
  private var seen: (call: UInt64, at: UInt64)?

  /// A call begins.
  ///
  /// - Returns: its number.
  mutating func begin() -> UInt64 {
    defer { next += 1 }
    calls.insert(next)
    return next
  }

  /// A call was answered.
  mutating func end(_ call: UInt64) {
    calls.remove(call)
  }

  /// Whether the oldest call waits for too long. To be asked every few seconds.
  mutating func areSilent(at nanoseconds: UInt64) -> Bool {
    // Numbers only rise: the one that was the oldest is so as long as it is there.
    if let seen, calls.contains(seen.call) {
      return nanoseconds > seen.at + CallsUnderWay.longestSilence
    }
    seen = calls.min().map { ($0, nanoseconds) }
    return false
  }
}

/// A disk of which it is known whether it answers calls that change it.
///
/// Room is told out of the system's memory also where every sync hangs. Reads are not watched: they are many,
/// and clients that wait for one go to another node.
struct WatchedDisk: Disk {
  let base: any Disk
  let watch = DiskWatch()

  func create(
    _ path: String, reserving bytes: Int, direct: Bool
  ) async throws(StoreError) -> any DiskFile {
    let file = try await watch.call { () async throws(StoreError) in
      try await base.create(path, reserving: bytes, direct: direct)
    }
    return WatchedFile(base: file, watch: watch)
  }

  func open(_ path: String) async throws(StoreError) -> any DiskFile {
    try await base.open(path)
  }

  func openForWriting(_ path: String) async throws(StoreError) -> any DiskFile {
    let file = try await watch.call { () async throws(StoreError) in
      try await base.openForWriting(path)
    }
    return WatchedFile(base: file, watch: watch)
  }

  func rename(_ source: String, to target: String) async throws(StoreError) {
    try await watch.call { () async throws(StoreError) in
      try await base.rename(source, to: target)
    }
  }

  func remove(_ path: String) async throws(StoreError) {
    try await watch.call { () async throws(StoreError) in try await base.remove(path) }
  }

  func list(_ directory: String) async throws(StoreError) -> [String] {
    try await base.list(directory)
  }

  func makeDirectory(_ path: String) async throws(StoreError) {
    try await watch.call { () async throws(StoreError) in try await base.makeDirectory(path) }
  }

  func sync(directory: String) async throws(StoreError) {
    try await watch.call { () async throws(StoreError) in try await base.sync(directory: directory)
    }
  }

  func space() async throws(StoreError) -> DiskSpace { try await base.space() }

  func lock(_ path: String) async throws(StoreError) -> any DiskLock { try await base.lock(path) }

  func read(
    _ path: String, at offset: Int, length: Int
  ) async throws(StoreError) -> DiskRead {
    try await base.read(path, at: offset, length: length)
  }

  func publish(
    _ buffer: DiskBuffer, bytes: Int, through temporary: String, as path: String
  ) async throws(StoreError) {
    try await watch.call { () async throws(StoreError) in
      try await base.publish(buffer, bytes: bytes, through: temporary, as: path)
    }
  }
}

/// What a disk and its files share: the calls under way.
final class DiskWatch: Sendable {
  private let calls = Mutex(CallsUnderWay())

  /// Does a call.
  func call<Result>(
    _ body: () async throws(StoreError) -> Result
  ) async throws(StoreError) -> Result {
    let number = calls.withLock { $0.begin() }
    defer { calls.withLock { $0.end(number) } }
    return try await body()
  }

  /// Whether the disk doesn't answer.
  func isSilent(at nanoseconds: UInt64) -> Bool {
    calls.withLock { $0.areSilent(at: nanoseconds) }
  }
}

/// A file that was opened for writing.
private struct WatchedFile: DiskFile {
  let base: any DiskFile
  let watch: DiskWatch

  func beginWrite(_ buffer: DiskBuffer, _ range: Range<Int>, at offset: Int) -> any DiskOperation {
    WatchedOperation(base: base.beginWrite(buffer, range, at: offset), watch: watch)
  }

  func writeAndSync(_ writes: [DiskWrite]) async throws(StoreError) {
    try await watch.call { () async throws(StoreError) in try await base.writeAndSync(writes) }
  }

  func size() async throws(StoreError) -> FileSize { try await base.size() }

  func read(at offset: Int, length: Int) async throws(StoreError) -> DiskRead {
    try await base.read(at: offset, length: length)
  }

  func reserve(_ range: Range<Int>) async throws(StoreError) {
    try await watch.call { () async throws(StoreError) in try await base.reserve(range) }
  }

  func truncate(to bytes: Int) async throws(StoreError) {
    try await watch.call { () async throws(StoreError) in try await base.truncate(to: bytes) }
  }

  func punch(_ range: Range<Int>) async throws(StoreError) {
    try await watch.call { () async throws(StoreError) in try await base.punch(range) }
  }

  func forget() async { await base.forget() }

  func close() async { await base.close() }
}

/// A write. It counts from when somebody waits for it: it may be over for long when its owner, who waits for
/// others, asks.
private struct WatchedOperation: DiskOperation {
  let base: any DiskOperation
  let watch: DiskWatch

  func finish() async throws(StoreError) {
    try await watch.call { () async throws(StoreError) in try await base.finish() }
  }
}

extension SegmentStore {
  /// Whether the disk doesn't answer, as far as it is watched.
  var isSilent: Bool {
    (disk as? WatchedDisk)?.watch.isSilent(at: clock.nanoseconds) ?? false
  }

  /// Whether the disk is as it should be: new chunks may go to it.
  var works: Bool { !isFailing && !isSilent }
}
