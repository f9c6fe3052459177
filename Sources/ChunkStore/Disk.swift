package import NIOCore
package import StoreModel

/// A directory on a disk, as a store sees it: given to it, so that a simulation can give its own.
///
/// Paths are relative to that directory, with `/` between their parts. Nothing outlives a power cut
/// before it was synced: a file's bytes by `DiskFile.writeAndSync`, a name by `sync(directory:)` of the
/// directory that holds it. A sync that failed proves nothing, whatever a later one says.
///
/// The errors' codes: `notFound` for a path that is not there, `alreadyExists`, `resourceExhausted` for
/// a full disk or quota, `preconditionFailed` for a lock that another holds, `invalidArgument` for what should be
/// opened and is no regular file, `unavailable` for a lack of descriptors or memory, `internal` for the rest.
package protocol Disk: Sendable {
  /// Makes a file, which must not exist yet, for writing and reading.
  ///
  /// - Parameters:
  ///   - path: where.
  ///   - bytes: how large it will be: room for it is set aside where the disk can; 0: none.
  ///   - direct: whether to go past the page cache where that is possible. Writes are then in whole
  ///     `DiskBuffer.alignment` units.
  /// - Returns: the open file.
  /// - Throws: `alreadyExists`, `resourceExhausted`, `internal`.
  func create(_ path: String, reserving bytes: Int, direct: Bool) async throws(StoreError)
    -> any DiskFile
  /// Opens a file for reading.
  func open(_ path: String) async throws(StoreError) -> any DiskFile
  /// Opens a file for writing, past the page cache where that is possible: writes are then in whole
  /// `DiskBuffer.alignment` units.
  func openForWriting(_ path: String) async throws(StoreError) -> any DiskFile
  /// Gives a file another name; replaces what is there.
  func rename(_ source: String, to target: String) async throws(StoreError)
  /// Removes a file.
  func remove(_ path: String) async throws(StoreError)
  /// The names in a directory, in the order of their bytes.
  func list(_ directory: String) async throws(StoreError) -> [String]
  /// Makes a directory, whose parent must exist; one that is there already is fine.
  func makeDirectory(_ path: String) async throws(StoreError)
  /// Makes a directory's names durable. The empty path is the root.
  func sync(directory: String) async throws(StoreError)
  /// How much room there is.
  func space() async throws(StoreError) -> DiskSpace
  /// Takes a lock that only one process, and one holder in it, can have; until it is released or the
  /// process ends.
  func lock(_ path: String) async throws(StoreError) -> any DiskLock

  /// Reads from a file that is opened only for that.
  func read(_ path: String, at offset: Int, length: Int) async throws(StoreError) -> DiskRead
  /// Writes a new file, syncs its bytes and gives it its final name, whose directory is left to sync.
  func publish(
    _ buffer: DiskBuffer, bytes: Int, through temporary: String, as path: String
  ) async throws(StoreError)
}

/// An open file. It is closed when nobody holds it any more.
package protocol DiskFile: Sendable {
  /// Begins to write a part of the buffer at an offset of the file, and returns at once. The buffer must
  /// be left alone until the write was waited for.
  func beginWrite(_ buffer: DiskBuffer, _ range: Range<Int>, at offset: Int) -> any DiskOperation
  /// Writes parts of buffers, one after the other, and then makes them, and all that was written to the
  /// file before, durable. After a failure nothing is known of what was written since the last sync.
  func writeAndSync(_ writes: [DiskWrite]) async throws(StoreError)
  /// How large it is.
  func size() async throws(StoreError) -> FileSize
  /// Reads; less than asked for only at the file's end.
  func read(at offset: Int, length: Int) async throws(StoreError) -> DiskRead
  /// Sets room aside for a range, also where some was given back, and makes the file as long as that ends, if it is
  /// shorter. Where the disk can't set room aside, the file has its length all the same, and a later write may find the
  /// disk full. An empty range does nothing.
  ///
  /// - Throws: `resourceExhausted`, `internal`.
  func reserve(_ range: Range<Int>) async throws(StoreError)
  /// Sets the file's length; durable after the next sync.
  func truncate(to bytes: Int) async throws(StoreError)
  /// Gives the room of a range back, which then reads as zeros. Does nothing where the disk can't.
  func punch(_ range: Range<Int>) async throws(StoreError)
  /// Has the system forget what it has in memory of the file, so that the next reads show what the disk has.
  func forget() async
  /// Closes it; harmless when it is closed.
  func close() async
}

/// A part of a buffer that is to be written.
package struct DiskWrite: Sendable {
  /// The memory.
  package var buffer: DiskBuffer
  /// Which part of it.
  package var range: Range<Int>
  /// Where in the file.
  package var offset: Int

  /// Describes a write.
  package init(_ buffer: DiskBuffer, _ range: Range<Int>, at offset: Int) {
    self.buffer = buffer
    self.range = range
    self.offset = offset
  }
}

/// Something that a disk does meanwhile.
package protocol DiskOperation: Sendable {
  /// Waits for its end. Called once, and needed.
  func finish() async throws(StoreError)
}

/// A lock that is held.
package protocol DiskLock: Sendable {
  /// Gives it back.
  func release() async
}

/// What a read gave.
package struct DiskRead: Sendable {
  /// The bytes.
  package var bytes: ByteBuffer
  /// Whether the disk had to be waited for.
  package var hasWaited: Bool

  /// Makes a result.
  package init(bytes: ByteBuffer, hasWaited: Bool = true) {
    self.bytes = bytes
    self.hasWaited = hasWaited
  }
}

/// How large a file is, in bytes.
package struct FileSize: Sendable, Hashable {
  /// Its length.
  package var bytes: Int
  /// What it takes of the disk.
  package var diskBytes: Int

  /// Makes a figure.
  package init(bytes: Int, diskBytes: Int) {
    self.bytes = bytes
    self.diskBytes = diskBytes
  }
}

/// The room on a disk, in bytes.
package struct DiskSpace: Sendable, Hashable {
  /// In all.
  package var capacityBytes: UInt64
  /// Still to be had.
  package var freeBytes: UInt64
  /// What tells the file system, whose room it is, from others; nil: nobody else has it.
  package var fileSystem: UInt64?

  /// Makes a figure.
  package init(capacityBytes: UInt64, freeBytes: UInt64, fileSystem: UInt64? = nil) {
    self.capacityBytes = capacityBytes
    self.freeBytes = freeBytes
    self.fileSystem = fileSystem
  }
}

extension Disk {
  /// By `open`, `read` and `close`.
  package func read(
    _ path: String, at offset: Int, length: Int
  ) async throws(StoreError) -> DiskRead {
    let file = try await open(path)
    do throws(StoreError) {
      let result = try await file.read(at: offset, length: length)
      await file.close()
      return result
    } catch {
      await file.close()
      throw error
    }
  }

  /// By `create`, `writeAndSync` and `rename`. When it throws, `temporary` may be left behind.
  package func publish(
    _ buffer: DiskBuffer, bytes: Int, through temporary: String, as path: String
  ) async throws(StoreError) {
    let file = try await create(temporary, reserving: 0, direct: false)
    do throws(StoreError) {
      try await file.writeAndSync([DiskWrite(buffer, 0..<bytes, at: 0)])
      await file.close()
    } catch {
      await file.close()
      throw error
    }
    try await rename(temporary, to: path)
  }

  /// Removes a file that may be gone already.
  package func removeIfThere(_ path: String) async throws(StoreError) {
    do throws(StoreError) {
      try await remove(path)
    } catch {
      guard error.code == .notFound else { throw error }
    }
  }
}
