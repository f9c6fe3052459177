import Dispatch

/// Where blocking database calls run: a serial queue with threads of its own, so that an fsync never
/// holds up tasks or event loops.
///
/// A simulation passes its own seeded executor in its place.
package final class DatabaseExecutor: SerialExecutor {
  private let queue: DispatchQueue

  /// Makes a queue; the label shows in debuggers.
  package init(label: String) {
    queue = DispatchQueue(label: label, qos: .userInitiated)
  }

  /// Runs a job when those before it are done.
  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }

  /// This executor for an actor that keeps it alive.
  package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    UnownedSerialExecutor(ordinary: self)
  }
}
