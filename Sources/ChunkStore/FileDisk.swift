import NIOCore
package import StoreModel

/// A directory of a real file system.
///
/// Calls block on threads of the disk's own. A job that makes several calls in a row (`publish`, `read`)
/// hops to such a thread once.
package final class FileDisk: Disk {
  private let root: String
  private let threads: BlockingThreads

  /// Opens a directory; makes it, and its parents, where it isn't there.
  ///
  /// - Parameters:
  ///   - root: the directory's path.
  ///   - maxThreads: how many calls may block at a time: as many syncs can share a journal commit.
  /// - Throws: `StoreError` when it cannot be made or is no directory.
  package init(root: String, maxThreads: Int = 16) throws(StoreError) {
    self.root = root
    threads = BlockingThreads(maxThreads: maxThreads)
    try SystemCalls.makeDirectories(root)
  }

  /// Opens a directory that is there.
  ///
  /// - Throws: `StoreError.notFound` when it is not.
  package init(existing root: String) throws(StoreError) {
    self.root = root
    threads = BlockingThreads(maxThreads: 16)
    try SystemCalls.sync(directory: root)
  }

  package func create(
    _ path: String, reserving bytes: Int, direct: Bool
  ) async throws(StoreError) -> any DiskFile {
    let full = absolute(path)
    let file = try await threads.run { () throws(StoreError) in
      let file = try SystemCalls.create(full, direct: direct)
      guard bytes > 0 else { return file }
      do throws(StoreError) {
        try file.reserve(0..<bytes)
      } catch {
        file.close()
        try SystemCalls.remove(full)
        throw error
      }
      return file
    }
    return FileDiskFile(file: file, threads: threads)
  }

  package func open(_ path: String) async throws(StoreError) -> any DiskFile {
    let full = absolute(path)
    let file = try await threads.run { () throws(StoreError) in
      let file = try SystemCalls.open(full)
      file.expectSequentialReads()
      return file
    }
    return FileDiskFile(file: file, threads: threads)
  }

  package func openForWriting(_ path: String) async throws(StoreError) -> any DiskFile {
    let full = absolute(path)
    let file = try await threads.run { () throws(StoreError) in
      try SystemCalls.openForWriting(full)
    }
    return FileDiskFile(file: file, threads: threads)
  }

  package func rename(_ source: String, to target: String) async throws(StoreError) {
    let source = absolute(source)
    let target = absolute(target)
    try await threads.run { () throws(StoreError) in try SystemCalls.rename(source, to: target) }
  }

  package func remove(_ path: String) async throws(StoreError) {
    let full = absolute(path)
    try await threads.run { () throws(StoreError) in try SystemCalls.remove(full) }
  }

  package func list(_ directory: String) async throws(StoreError) -> [String] {
    let full = absolute(directory)
    return try await threads.run { () throws(StoreError) in
      try SystemCalls.list(full).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
  }

  package func makeDirectory(_ path: String) async throws(StoreError) {
    let full = absolute(path)
    try await threads.run { () throws(StoreError) in try SystemCalls.makeDirectory(full) }
  }

  package func sync(directory: String) async throws(StoreError) {
    let full = absolute(directory)
    try await threads.run { () throws(StoreError) in try SystemCalls.sync(directory: full) }
  }

  package func space() async throws(StoreError) -> DiskSpace {
    let full = root
    return try await threads.run { () throws(StoreError) in try SystemCalls.space(full) }
  }

  package func lock(_ path: String) async throws(StoreError) -> any DiskLock {
    let full = absolute(path)
    let file = try await threads.run { () throws(StoreError) in try SystemCalls.lock(full) }
    return FileDiskFile(file: file, threads: threads)
  }

  package func read(
    _ path: String, at offset: Int, length: Int
  ) async throws(StoreError) -> DiskRead {
    let full = absolute(path)
    return try await threads.run { () throws(StoreError) in
      let file = try SystemCalls.open(full)
      defer { file.close() }
      // No more memory than there is to read.
      let there = max(try file.size().bytes - offset, 0)
      return DiskRead(bytes: try file.read(at: offset, length: min(length, there)))
    }
  }

  package func publish(
    _ buffer: DiskBuffer, bytes: Int, through temporary: String, as path: String
  ) async throws(StoreError) {
    let temporary = absolute(temporary)
    let path = absolute(path)
    try await threads.run { () throws(StoreError) in
      let file = try SystemCalls.create(temporary, direct: false)
      defer { file.close() }
      try file.write(UnsafeRawBufferPointer(rebasing: buffer.bytes[..<bytes]), at: 0)
      try file.sync()
      try SystemCalls.rename(temporary, to: path)
    }
  }

  /// The path as the system wants it.
  private func absolute(_ path: String) -> String {
    path.isEmpty ? root : "\(root)/\(path)"
  }
}

/// An open file, or lock, of a `FileDisk`.
private struct FileDiskFile: DiskFile, DiskLock {
  /// Reads of more bytes keep a thread busy for too long that others wait for.
  static let maxCachedRead = 1 << 20

  let file: OpenFile
  let threads: BlockingThreads

  func beginWrite(
    _ buffer: DiskBuffer, _ range: Range<Int>, at offset: Int
  ) -> any DiskOperation {
    let file = file
    return threads.start { () throws(StoreError) in
      try file.write(UnsafeRawBufferPointer(rebasing: buffer.bytes[range]), at: offset)
    }
  }

  func writeAndSync(_ writes: [DiskWrite]) async throws(StoreError) {
    let file = file
    try await threads.run { () throws(StoreError) in
      for write in writes {
        let bytes = UnsafeRawBufferPointer(rebasing: write.buffer.bytes[write.range])
        try file.write(bytes, at: write.offset)
      }
      try file.sync()
    }
  }

  func size() async throws(StoreError) -> FileSize {
    let file = file
    return try await threads.run { () throws(StoreError) in try file.size() }
  }

  func read(at offset: Int, length: Int) async throws(StoreError) -> DiskRead {
    // What needs no disk needs no other thread either, and stays in this one's cache.
    let begun =
      length <= FileDiskFile.maxCachedRead ? file.readCached(at: offset, length: length) : nil
    if let begun, begun.readableBytes == length {
      return DiskRead(bytes: begun, hasWaited: false)
    }
    let file = file
    return DiskRead(
      bytes: try await threads.run { () throws(StoreError) in
        try file.read(at: offset, length: length, after: begun)
      })
  }

  func reserve(_ range: Range<Int>) async throws(StoreError) {
    let file = file
    try await threads.run { () throws(StoreError) in try file.reserve(range) }
  }

  func truncate(to bytes: Int) async throws(StoreError) {
    let file = file
    try await threads.run { () throws(StoreError) in try file.truncate(to: bytes) }
  }

  func punch(_ range: Range<Int>) async throws(StoreError) {
    let file = file
    try await threads.run { () throws(StoreError) in try file.punch(range) }
  }

  func forget() async {
    let file = file
    await threads.run { () throws(Never) in file.forget() }
  }

  func close() async {
    // The last close of a file that was removed frees its room, which takes long.
    let file = file
    await threads.run { () throws(Never) in file.close() }
  }

  func release() async {
    file.close()
  }
}
