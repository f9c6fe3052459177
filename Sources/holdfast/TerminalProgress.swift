import RPC
import StoreClient
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Draws a transfer's progress on standard error when that is a terminal, and nothing otherwise.
final class TerminalProgress: Sendable {
  private let meter: Mutex<ProgressMeter>?
  private let time = SystemTimeSource()

  /// A transfer that begins now.
  init(_ label: String) {
    meter =
      isatty(STDERR_FILENO) == 1
      ? Mutex(ProgressMeter(label: label.visible, now: time.now)) : nil
  }

  /// So much is done.
  func report(_ progress: TransferProgress) {
    let now = time.now
    let line = meter?.withLock { meter in
      meter.report(done: progress.bytesDone, total: progress.bytesTotal, now: now)
    }
    if let line { StandardError.text("\r\(line)\u{1B}[K") }
  }

  /// Wipes the line.
  func finish() {
    if meter?.withLock({ $0.hasDrawn }) == true { StandardError.text("\r\u{1B}[K") }
  }
}
