import CDisk
import NIOCore
import StoreModel
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A file descriptor with the calls that need one. All of them block.
final class OpenFile: Sendable {
  private let path: String
  /// -1 once closed.
  private let descriptor: Mutex<Int32>

  /// Takes over an open descriptor.
  init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = Mutex(descriptor)
  }

  deinit {
    close()
  }

  /// Closes it; harmless when it is closed.
  func close() {
    let open = descriptor.withLock { descriptor in
      defer { descriptor = -1 }
      return descriptor
    }
    if open >= 0 { _ = systemClose(open) }
  }

  /// Sets room aside for a range, and makes the file as long as that ends, if it is shorter, so that a full disk is
  /// noticed before anything is sent. On file systems that can't set room aside the file only gets its length, and a
  /// write into it may find the disk full. Nobody may write behind the file's end meanwhile.
  ///
  /// - Parameters:
  ///   - range: of the file; an empty one does nothing.
  ///   - setAside: the system's call, for tests that stand in for such a file system.
  /// - Throws: `resourceExhausted`, `internal`.
  func reserve(
    _ range: Range<Int>, by setAside: (Int32, off_t, off_t) -> Int32 = disk_set_aside
  ) throws(StoreError) {
    guard !range.isEmpty else { return }
    let code = SystemCalls.retrying {
      setAside(number, off_t(range.lowerBound), off_t(range.count))
    }
    guard code != 0 else { return }
    guard [EOPNOTSUPP, ENOSYS].contains(errno) else {
      throw SystemCalls.error("make room for", path, errno)
    }
    guard try size().bytes < range.upperBound else { return }
    try truncate(to: range.upperBound)
  }

  /// Sets the length.
  func truncate(to bytes: Int) throws(StoreError) {
    guard SystemCalls.retrying({ ftruncate(number, off_t(bytes)) }) == 0 else {
      throw SystemCalls.error("truncate", path, errno)
    }
  }

  /// Gives the room of a range back; file systems that can't are left alone.
  func punch(_ range: Range<Int>) throws(StoreError) {
    let code = SystemCalls.retrying {
      disk_punch_hole(number, off_t(range.lowerBound), off_t(range.count))
    }
    guard code != 0, ![EOPNOTSUPP, ENOSYS, EINVAL].contains(errno) else { return }
    throw SystemCalls.error("free room in", path, errno)
  }

  /// Has the system forget the file's bytes; those that are not written yet stay.
  func forget() {
    #if os(Linux)
      _ = posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED)
    #endif
  }

  /// Tells the system that the file will be read from its beginning to its end.
  func expectSequentialReads() {
    #if os(Linux)
      _ = posix_fadvise(number, 0, 0, POSIX_FADV_SEQUENTIAL)
    #endif
  }

  /// Writes all the bytes.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StoreError) {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      let count = pwrite(number, rest.baseAddress, rest.count, off_t(offset + done))
      if count > 0 {
        done += count
      } else if count == 0 {
        throw StoreError(.internal, "cannot write '\(path)': the system takes no bytes")
      } else if errno == EINVAL, leaveDirectWrites() {
        continue
      } else if errno != EINTR {
        throw SystemCalls.error("write", path, errno)
      }
    }
  }

  /// How large it is.
  func size() throws(StoreError) -> FileSize {
    var status = stat()
    guard fstat(number, &status) == 0 else { throw SystemCalls.error("measure", path, errno) }
    return FileSize(bytes: Int(status.st_size), diskBytes: Int(status.st_blocks) * 512)
  }

  /// Begins to read: what the system has in memory of the range's beginning, without waiting for the
  /// disk.
  func readCached(at offset: Int, length: Int) -> ByteBuffer {
    var bytes = ByteBufferAllocator().buffer(capacity: length)
    let count = bytes.withUnsafeMutableWritableBytes { target in
      disk_read_cached(number, target.baseAddress, length, off_t(offset))
    }
    bytes.moveWriterIndex(forwardBy: max(count, 0))
    return bytes
  }

  /// Reads, going on after what was `begun`; less than asked for only at the file's end.
  func read(
    at offset: Int, length: Int, after begun: ByteBuffer? = nil
  ) throws(StoreError) -> ByteBuffer {
    var bytes = begun ?? ByteBufferAllocator().buffer(capacity: length)
    while bytes.readableBytes < length {
      let position = off_t(offset + bytes.readableBytes)
      let missing = length - bytes.readableBytes
      let count = bytes.withUnsafeMutableWritableBytes { target in
        pread(number, target.baseAddress, missing, position)
      }
      if count > 0 {
        bytes.moveWriterIndex(forwardBy: count)
      } else if count == 0 {
        break
      } else if errno != EINTR {
        throw SystemCalls.error("read", path, errno)
      }
    }
    return bytes
  }

  /// Makes the bytes durable.
  func sync() throws(StoreError) {
    #if os(Linux)
      let code = fdatasync(number)
    #else
      let code = fcntl(number, F_FULLFSYNC)
    #endif
    guard code == 0 else { throw SystemCalls.error("sync", path, errno) }
  }

  /// The descriptor.
  private var number: Int32 {
    descriptor.withLock { $0 }
  }

  /// Goes back to the page cache where the file system refuses direct writes; false when it did not
  /// write directly.
  private func leaveDirectWrites() -> Bool {
    #if os(Linux)
      let flags = fcntl(number, F_GETFL)
      guard flags >= 0, flags & SystemCalls.directFlag != 0 else { return false }
      return fcntl(number, F_SETFL, flags & ~SystemCalls.directFlag) == 0
    #else
      return false
    #endif
  }
}

/// `close` under another name: the method of that name hides the system's.
private func systemClose(_ descriptor: Int32) -> Int32 {
  close(descriptor)
}
