internal import DequeModule
internal import NIOCore
internal import Synchronization

/// Runs Swift tasks on one event loop's thread, and gathers what its connections are asked to do.
///
/// A *turn* runs the jobs that are queued, and after each lets every connection that it asked for something
/// (bytes to send, reading on or off, close) do it: what a connection writes it has gathered from many tasks.
/// A turn is taken when a connection has handed over all that came in together, and otherwise as a task
/// of the loop. Nothing that a connection calls is ever called from inside a request to it, so callers
/// may hold locks.
final class LoopExecutor: TaskExecutor, @unchecked Sendable {
  /// Jobs run before the loop looks at its sockets again.
  private static let jobsPerTurn = 4096

  /// The loop whose thread this runs on.
  let loop: any EventLoop

  /// What other threads hand over.
  private struct Inbox {
    var jobs: [UnownedJob] = []
    var connections: [SocketConnection] = []
    var isTurnScheduled = false
  }
  private let inbox = Mutex(Inbox())

  // The rest is touched on the loop's thread alone: that is what makes this `Sendable`.
  private var jobs = Deque<UnownedJob>()
  private var connections: [SocketConnection] = []
  private var isInTurn = false
  private var isTurnScheduled = false
  private var isReading = false

  /// An executor for `loop`.
  init(loop: any EventLoop) {
    self.loop = loop
  }

  /// Queues a job for the next turn. From any thread.
  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if loop.inEventLoop {
      jobs.append(job)
      scheduleTurn()
    } else {
      fromOutside { $0.jobs.append(job) }
    }
  }

  /// Has `connection` do what it was asked for in the next turn. From any thread.
  func attend(to connection: SocketConnection) {
    if loop.inEventLoop {
      connections.append(connection)
      scheduleTurn()
    } else {
      fromOutside { $0.connections.append(connection) }
    }
  }

  /// Says that bytes come in and that `readingEnded` follows, which takes the next turn.
  func readingBegan() {
    isReading = true
  }

  /// Takes a turn at once: all that came in together has been handed over.
  func readingEnded() {
    isReading = false
    turn()
  }

  private func scheduleTurn() {
    guard !isInTurn, !isTurnScheduled, !isReading else { return }
    isTurnScheduled = true
    loop.execute {
      self.isTurnScheduled = false
      self.turn()
    }
  }

  private func fromOutside(_ add: (inout Inbox) -> Void) {
    let mustSchedule = inbox.withLock { inbox in
      add(&inbox)
      defer { inbox.isTurnScheduled = true }
      return !inbox.isTurnScheduled
    }
    guard mustSchedule else { return }
    loop.execute {
      self.emptyInbox()
      self.turn()
    }
  }

  private func emptyInbox() {
    let taken = inbox.withLock { inbox in
      let taken = inbox
      inbox = Inbox()
      return taken
    }
    jobs.append(contentsOf: taken.jobs)
    connections.append(contentsOf: taken.connections)
  }

  private func turn() {
    guard !isInTurn else { return }
    isInTurn = true
    var jobsLeft = Self.jobsPerTurn
    attendToConnections()
    while jobsLeft > 0, let job = jobs.popFirst() {
      job.runSynchronously(on: asUnownedTaskExecutor())
      jobsLeft -= 1
      attendToConnections()
    }
    isInTurn = false
    if !(jobs.isEmpty && connections.isEmpty) { scheduleTurn() }
  }

  private func attendToConnections() {
    guard !connections.isEmpty else { return }
    var batch: [SocketConnection] = []
    swap(&batch, &connections)
    for connection in batch {
      connection.carryOut()
    }
    batch.removeAll(keepingCapacity: true)
    if connections.isEmpty { swap(&batch, &connections) }
  }
}
