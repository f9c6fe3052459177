import NIOCore
package import StoreModel
import Synchronization

/// A disk in memory, with what real ones do to those who do not sync: for tests and the simulation.
///
/// Every file and every directory remembers what of it was synced. `crash` takes the disk back to
/// that, or, told which, keeps some of the rest. Nothing is random and nothing waits here, except that
/// every call lets other tasks of its executor go first, so that a seeded executor tries the orders.
package final class MemoryDisk: Disk {
  /// A call that changes or reads the disk, told to whoever injects faults.
  package struct Call: Sendable, Hashable {
    /// What is done.
    package enum Kind: Sendable, Hashable, CaseIterable {
      case create, open, rename, remove, list, makeDirectory, syncDirectory, space, lock
      case size, write, read, sync, reserve, truncate, punch
    }

    /// What is done.
    package var kind: Kind
    /// To which path.
    package var path: String
    /// How many calls there were before it.
    package var number: Int
    /// Of a read or a write: which bytes of the file.
    package var range: Range<Int>?
  }

  let state: Mutex<MemoryDiskState>

  /// An empty disk of so many bytes.
  package init(capacityBytes: Int = 1 << 40) {
    state = Mutex(MemoryDiskState(capacityBytes: capacityBytes))
  }

  /// How many calls there were.
  package var calls: Int {
    state.withLock { $0.calls }
  }

  /// How many bytes the disk has; less than it holds makes it full.
  package var capacityBytes: Int {
    get { state.withLock { $0.capacityBytes } }
    set { state.withLock { $0.capacityBytes = newValue } }
  }

  /// Asks `fault` before each call whether it fails, and how; nil ends that.
  package func injectFaults(_ fault: (@Sendable (Call) -> StoreError?)?) {
    state.withLock { $0.fault = fault }
  }

  /// Ends the process at the call of this number: it and all later ones fail and do nothing, until
  /// `restart` or `crash`.
  package func stop(atCall number: Int) {
    state.withLock { $0.stopsAtCall = number }
  }

  /// Whether calls may fail: faults are injected, or the process has ended, as `stop` said.
  package var mayFail: Bool {
    state.withLock { $0.isStopped || $0.fault != nil }
  }

  /// Waits for `delay` before each call, as a slow or hanging disk makes one wait; nil ends that.
  package func injectDelays(_ delay: (@Sendable (Call) async -> Void)?) {
    state.withLock { $0.delay = delay }
  }

  /// Cuts the power: what was not synced is lost, locks and the fault are gone, open files dead.
  package func crash() {
    crash { _ in false }
  }

  /// Cuts the power, but keeps some of what was not synced.
  ///
  /// - Parameter keep: asked with a number that rises from 0 for each changed 512-byte sector and each
  ///   changed name, whether its new state survives.
  package func crash(keeping keep: (Int) -> Bool) {
    state.withLock { $0.crash(keeping: keep) }
  }

  /// Ends the process but not the power: nothing is lost, locks are free, open files dead.
  package func restart() {
    state.withLock { $0.endProcess() }
  }

  /// All files' paths in order, for tests.
  package var files: [String] {
    state.withLock { $0.filePaths }
  }

  /// How long all files are together; those in which room was given back take less of the disk.
  package var fileBytes: Int {
    state.withLock { state in state.filePaths.reduce(0) { $0 + (state.file($1)?.size ?? 0) } }
  }

  /// A file's bytes; nil when it isn't there.
  package func contents(of path: String) -> [UInt8]? {
    state.withLock { $0.file(path)?.contents }
  }

  /// Changes a file's bytes as bit rot does: past all syncs. Makes the file where there is none.
  package func corrupt(_ path: String, _ change: (inout [UInt8]) -> Void) {
    state.withLock { $0.corrupt(path, change) }
  }

  /// Changes a file's bytes on the disk alone: they are read as they were until the system forgets what it has in
  /// memory of the file.
  package func rot(_ path: String, _ change: (inout [UInt8]) -> Void) {
    state.withLock { state in
      guard let file = state.file(path) else { return }
      var bytes = file.contents
      change(&bytes)
      file.rotten = bytes
    }
  }

  package func create(
    _ path: String, reserving bytes: Int, direct: Bool
  ) async throws(StoreError) -> any DiskFile {
    try await perform(.create, path) { state throws(StoreError) in
      let file = try state.create(path, reserving: bytes)
      return MemoryDiskFile(disk: self, path: path, node: file, life: state.life)
    }
  }

  package func open(_ path: String) async throws(StoreError) -> any DiskFile {
    try await perform(.open, path) { state throws(StoreError) in
      let file = try state.regularFile(path)
      return MemoryDiskFile(disk: self, path: path, node: file, life: state.life)
    }
  }

  package func openForWriting(_ path: String) async throws(StoreError) -> any DiskFile {
    try await open(path)
  }

  package func rename(_ source: String, to target: String) async throws(StoreError) {
    try await perform(.rename, target) { state throws(StoreError) in
      try state.rename(source, to: target)
    }
  }

  package func remove(_ path: String) async throws(StoreError) {
    try await perform(.remove, path) { state throws(StoreError) in try state.remove(path) }
  }

  package func list(_ directory: String) async throws(StoreError) -> [String] {
    try await perform(.list, directory) { state throws(StoreError) in try state.list(directory) }
  }

  package func makeDirectory(_ path: String) async throws(StoreError) {
    try await perform(.makeDirectory, path) { state throws(StoreError) in
      try state.makeDirectory(path)
    }
  }

  package func sync(directory: String) async throws(StoreError) {
    try await perform(.syncDirectory, directory) { state throws(StoreError) in
      try state.sync(directory: directory)
    }
  }

  package func space() async throws(StoreError) -> DiskSpace {
    try await perform(.space, "") { state throws(StoreError) in
      DiskSpace(
        capacityBytes: UInt64(max(state.capacityBytes, 0)), freeBytes: UInt64(state.freeBytes))
    }
  }

  package func lock(_ path: String) async throws(StoreError) -> any DiskLock {
    try await perform(.lock, path) { state throws(StoreError) in
      guard state.locks.insert(path).inserted else {
        throw StoreError(.preconditionFailed, "'\(path)' is locked: the directory is in use")
      }
      if state.file(path) == nil { _ = try state.create(path, reserving: 0) }
    }
    return MemoryDiskLock(disk: self, path: path)
  }

  /// Counts a call, asks for a fault, and does it, after all that are told to wait for.
  fileprivate func perform<Result: Sendable>(
    _ kind: Call.Kind, _ path: String, _ range: Range<Int>? = nil,
    _ body: (inout MemoryDiskState) throws(StoreError) -> Result
  ) async throws(StoreError) -> Result {
    let (delay, number) = state.withLock { ($0.delay, $0.calls) }
    if let delay {
      await delay(Call(kind: kind, path: path, number: number, range: range))
    } else {
      await Task.yield()
    }
    return try performNow(kind, path, range, body)
  }

  /// Counts a call, asks for a fault, and does it.
  fileprivate func performNow<Result: Sendable>(
    _ kind: Call.Kind, _ path: String, _ range: Range<Int>? = nil,
    _ body: (inout MemoryDiskState) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    try state.withLock { state throws(StoreError) in
      let call = Call(kind: kind, path: path, number: state.calls, range: range)
      state.calls += 1
      guard !state.isStopped else {
        throw StoreError(.internal, "the process that did this is gone")
      }
      if let error = state.fault?(call) { throw error }
      return try body(&state)
    }
  }
}

/// An open file of a `MemoryDisk`.
private struct MemoryDiskFile: DiskFile {
  let disk: MemoryDisk
  let path: String
  let node: MemoryFile
  /// The life of the process that opened it.
  let life: Int

  func beginWrite(
    _ buffer: DiskBuffer, _ range: Range<Int>, at offset: Int
  ) -> any DiskOperation {
    let write = DiskWrite(buffer, range, at: offset)
    let bytes = write.bytes
    do throws(StoreError) {
      try disk.performNow(.write, path, offset..<offset + bytes.count) { state throws(StoreError) in
        try checkAlive(state)
        try state.write(bytes, at: offset, of: node, path: path)
      }
      return MemoryDiskOperation(file: self, write: write, written: bytes, error: nil)
    } catch {
      return MemoryDiskOperation(file: self, write: write, written: bytes, error: error)
    }
  }

  func writeAndSync(_ writes: [DiskWrite]) async throws(StoreError) {
    for write in writes {
      let bytes = write.bytes
      try await perform(.write, write.offset..<write.offset + bytes.count) {
        state throws(StoreError) in
        try state.write(bytes, at: write.offset, of: node, path: path)
      }
    }
    do throws(StoreError) {
      try await perform(.sync) { _ in node.sync() }
    } catch {
      disk.state.withLock { state in
        if life == state.life, !state.isStopped { node.failSync() }
      }
      throw error
    }
  }

  func size() async throws(StoreError) -> FileSize {
    try await perform(.size) { _ in FileSize(bytes: node.size, diskBytes: node.usedBytes) }
  }

  func read(at offset: Int, length: Int) async throws(StoreError) -> DiskRead {
    try await perform(.read, offset..<offset + length) { _ in
      DiskRead(bytes: ByteBuffer(bytes: node.read(at: offset, length: length)))
    }
  }

  func reserve(_ range: Range<Int>) async throws(StoreError) {
    try await perform(.reserve) { state throws(StoreError) in
      try state.reserve(range, of: node, path: path)
    }
  }

  func truncate(to bytes: Int) async throws(StoreError) {
    try await perform(.truncate) { state in state.truncate(node, to: bytes) }
  }

  func punch(_ range: Range<Int>) async throws(StoreError) {
    try await perform(.punch) { state in state.punch(node, range) }
  }

  func forget() async {
    disk.state.withLock { _ in node.forget() }
  }

  func close() async {}

  /// Does a call, unless the process that opened the file is gone.
  private func perform<Result: Sendable>(
    _ kind: MemoryDisk.Call.Kind, _ range: Range<Int>? = nil,
    _ body: (inout MemoryDiskState) throws(StoreError) -> Result
  ) async throws(StoreError) -> Result {
    try await disk.perform(kind, path, range) { state throws(StoreError) in
      try checkAlive(state)
      return try body(&state)
    }
  }

  fileprivate func checkAlive(_ state: MemoryDiskState) throws(StoreError) {
    guard life == state.life else {
      throw StoreError(.internal, "'\(path)' was opened before the machine went down")
    }
  }
}

/// A write of a `MemoryDisk`: it was done when it began. A real disk may look at the memory until the write
/// ends, so what was changed in it meanwhile is on this one, too.
private struct MemoryDiskOperation: DiskOperation {
  let file: MemoryDiskFile
  let write: DiskWrite
  let written: [UInt8]
  let error: StoreError?

  func finish() async throws(StoreError) {
    if let error { throw error }
    let bytes = write.bytes
    guard bytes != written else { return }
    try file.disk.state.withLock { state throws(StoreError) in
      try file.checkAlive(state)
      try state.write(bytes, at: write.offset, of: file.node, path: file.path)
    }
  }
}

extension DiskWrite {
  /// What the memory holds now.
  fileprivate var bytes: [UInt8] {
    Array(UnsafeRawBufferPointer(rebasing: buffer.bytes[range]))
  }
}

/// A lock of a `MemoryDisk`.
private struct MemoryDiskLock: DiskLock {
  let disk: MemoryDisk
  let path: String

  func release() async {
    disk.state.withLock { _ = $0.locks.remove(path) }
  }
}
