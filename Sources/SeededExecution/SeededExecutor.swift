internal import Synchronization

/// Runs tasks and actors one job at a time, on one thread, in an order that a seed decides.
///
/// Tasks reach it by their executor preference, which children of every kind inherit, and with them
/// the actors they call; an actor with an executor of its own is given `serialExecutor`. Whatever
/// gets ready waits in one queue until `runOne` picks it. Work that comes from another thread has
/// escaped the simulation somewhere: it is counted, and the simulation fails.
package final class SeededExecutor: TaskExecutor {
  /// A job that can run, with the way in which it reached the executor.
  private struct Ready {
    var job: UnownedJob
    var isIsolated: Bool
  }

  private struct State {
    var ready: [Ready] = []
    var generator: SeededGenerator
    var digest = Digest()
    var steps = 0
    var escapes = 0
  }

  private let state: Mutex<State>
  private let owner: ThreadIdentity
  /// The executor for actors that ask for one of their own.
  package let serialExecutor: SeededSerialExecutor

  /// An executor for the calling thread whose choices follow from `seed`.
  package init(seed: UInt64) {
    state = Mutex(State(generator: SeededGenerator(seed: seed)))
    owner = .current
    serialExecutor = SeededSerialExecutor()
    serialExecutor.attach(to: self)
  }

  /// Jobs run so far.
  package var steps: Int {
    state.withLock(\.steps)
  }

  /// Jobs that came from another thread: not 0 when something escaped the simulation.
  package var escapes: Int {
    state.withLock(\.escapes)
  }

  /// The fingerprint of every choice made so far and of what there was to choose from.
  package var digest: UInt64 {
    state.withLock(\.digest.value)
  }

  /// Takes a task's job.
  package func enqueue(_ job: consuming ExecutorJob) {
    add(Ready(job: UnownedJob(job), isIsolated: false))
  }

  /// Takes a job of an actor whose executor is `serialExecutor`.
  fileprivate func enqueueIsolated(_ job: consuming ExecutorJob) {
    add(Ready(job: UnownedJob(job), isIsolated: true))
  }

  /// Picks one of the jobs that can run and runs it to its next suspension.
  ///
  /// - Returns: false when no job can run.
  package func runOne() -> Bool {
    let picked = state.withLock { state -> Ready? in
      guard !state.ready.isEmpty else { return nil }
      let place = state.generator.next(below: state.ready.count)
      state.digest.add(UInt64(state.ready.count) << 32 | UInt64(place))
      state.steps += 1
      state.ready.swapAt(place, state.ready.count - 1)
      return state.ready.removeLast()
    }
    guard let picked else { return false }
    let asTask = asUnownedTaskExecutor()
    if picked.isIsolated {
      picked.job.runSynchronously(
        isolatedTo: serialExecutor.asUnownedSerialExecutor(), taskExecutor: asTask)
    } else {
      picked.job.runSynchronously(on: asTask)
    }
    return true
  }

  private func add(_ ready: Ready) {
    let isHome = owner == .current
    state.withLock { state in
      state.ready.append(ready)
      if !isHome { state.escapes += 1 }
    }
  }
}

/// The face that a seeded executor shows to actors with an executor of their own, such as those that
/// would block a thread of the shared pool outside a simulation.
package final class SeededSerialExecutor: SerialExecutor {
  private struct Home {
    weak var executor: SeededExecutor?
  }

  private let home = Mutex(Home())

  fileprivate func attach(to executor: SeededExecutor) {
    home.withLock { $0.executor = executor }
  }

  /// Takes an actor's job.
  package func enqueue(_ job: consuming ExecutorJob) {
    guard let executor = home.withLock(\.executor) else {
      preconditionFailure("an actor outlived the simulation it belongs to")
    }
    executor.enqueueIsolated(job)
  }
}
