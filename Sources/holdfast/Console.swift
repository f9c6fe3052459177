import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Standard output for lines, gathered into large writes; a terminal gets each line at once.
final class StandardOutput: Sendable {
  /// The process's own.
  static let shared = StandardOutput()

  private static let bufferBytes = 64 << 10

  private let pending = Mutex<[UInt8]>([])
  private let isTerminal = isatty(STDOUT_FILENO) == 1

  /// Writes a line.
  func line(_ text: String) {
    let isFull = pending.withLock { pending in
      pending.append(contentsOf: text.utf8)
      pending.append(UInt8(ascii: "\n"))
      return pending.count >= Self.bufferBytes
    }
    if isFull || isTerminal { flush() }
  }

  /// Writes what was gathered.
  func flush() {
    pending.withLock { pending in
      if let failure = writeAll(pending, to: STDOUT_FILENO) {
        if failure == EPIPE { endQuietly() }
        StandardError.line(
          "holdfast: standard output: \(String(cString: strerror(failure)))")
        exit(ExitStatus.other.rawValue)
      }
      pending.removeAll(keepingCapacity: true)
    }
  }
}

/// Standard error for lines.
enum StandardError {
  /// Writes a line at once.
  static func line(_ text: String) {
    _ = writeAll(Array((text + "\n").utf8), to: STDERR_FILENO)
  }

  /// Writes text at once, without a line's end.
  static func text(_ text: String) {
    _ = writeAll(Array(text.utf8), to: STDERR_FILENO)
  }
}

/// Writes all bytes; returns the error number when that fails.
private func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Int32? {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    if count > 0 {
      rest = rest.dropFirst(count)
    } else if errno != EINTR {
      return errno
    }
  }
  return nil
}

/// The reader of standard output is gone: end as other programs do then, without a word.
func endQuietly() -> Never {
  signal(SIGPIPE, SIG_DFL)
  raise(SIGPIPE)
  exit(ExitStatus.other.rawValue)
}

/// Ends the process with this code.
func endProcess(_ status: Int32) -> Never {
  exit(status)
}
