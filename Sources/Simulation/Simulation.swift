package import RPC
package import SeededExecution
internal import Synchronization

/// A run of a program under a seed: one thread, virtual time, and the same history for the same seed.
package enum Simulation {
  /// How far a run may go before it is given up as one that does not end.
  package struct Limits: Sendable {
    /// Jobs to run: far more than any scenario here needs.
    package var maxSteps = 20_000_000
    /// Virtual time to pass.
    package var maxTime: Duration = .seconds(24 * 3_600)

    /// The defaults.
    package init() {}
  }

  /// What a run gives its program: everything that must not come from the machine.
  package struct World: Sendable {
    /// What the run's choices follow from.
    package let seed: UInt64
    /// Runs everything.
    package let executor: SeededExecutor
    /// The clock.
    package let time: VirtualTime
    /// The history.
    package let trace: Trace

    /// The random stream of the part called `name`.
    package func random(_ name: String) -> SeededRandom {
      SeededRandom(seed: seed, name: name)
    }
  }

  /// How a run ended, and its history.
  package struct Outcome<Value: Sendable>: Sendable {
    /// What the program returned.
    package var value: Value
    /// What its parts noted, in order.
    package var events: [Trace.Event]
    /// The fingerprint of every choice of the executor.
    package var digest: UInt64
    /// Jobs that ran.
    package var steps: Int
    /// Virtual time that passed, in nanoseconds.
    package var duration: Instant
  }

  /// Runs `program` as a task on the calling thread until it and all its children are done.
  ///
  /// - Throws: `SimulationFailure` when the program throws, waits for what can never come, goes on
  ///   beyond the limits, or lets work escape to another thread.
  package static func run<Value: Sendable>(
    seed: UInt64, limits: Limits = Limits(),
    _ program: @escaping @Sendable (World) async throws -> Value
  ) throws(SimulationFailure) -> Outcome<Value> {
    let time = VirtualTime()
    let world = World(
      seed: seed, executor: SeededExecutor(seed: seed), time: time, trace: Trace(time: time))
    let result = ResultBox<Value>()
    let root = Task(executorPreference: world.executor, priority: .medium) {
      do {
        result.set(.success(try await program(world)))
      } catch {
        result.set(.failure(error))
      }
    }
    let reason = drive(world, limits: limits, until: result)
    if reason != nil {
      // Let the program clean up; what still does not end is left behind.
      root.cancel()
      _ = drive(world, limits: limits, until: result)
    }
    let events = world.trace.events
    func failure(_ reason: SimulationFailure.Reason) -> SimulationFailure {
      SimulationFailure(seed: seed, reason: reason, lastEvents: Array(events.suffix(20)))
    }
    if let reason { throw failure(reason) }
    let escapes = world.executor.escapes + world.trace.escapes
    guard escapes == 0 else { throw failure(.escaped(times: escapes)) }
    switch result.value {
    case .none: throw failure(.deadlock)
    case .failure(let error): throw failure(.thrown(error))
    case .success(let value):
      return Outcome(
        value: value, events: events, digest: world.executor.digest, steps: world.executor.steps,
        duration: time.now)
    }
  }

  /// Runs jobs, and lets time pass when there are none, until the program has a result.
  ///
  /// - Returns: why it stopped before; nil when the program is done.
  private static func drive<Value>(
    _ world: World, limits: Limits, until result: ResultBox<Value>
  ) -> SimulationFailure.Reason? {
    let lastStep = world.executor.steps + limits.maxSteps
    let (seconds, attoseconds) = limits.maxTime.components
    let span = UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    let end = Instant(nanoseconds: world.time.now.nanoseconds + span)
    while true {
      while world.executor.runOne() {
        guard world.executor.steps < lastStep else { return .tooManySteps(limits.maxSteps) }
      }
      if result.value != nil { return nil }
      guard let next = world.time.nextDeadline else { return .deadlock }
      guard next <= end else { return .tooLong(limits.maxTime) }
      _ = world.time.advance()
    }
  }
}

/// Why a simulation did not come to its end.
package struct SimulationFailure: Error, CustomStringConvertible {
  /// The kinds of failure.
  package enum Reason: Sendable {
    /// The program threw.
    case thrown(any Error)
    /// The program is not done, nothing can run, and nobody waits for a later time.
    case deadlock
    /// More jobs than the limit.
    case tooManySteps(Int)
    /// More virtual time than the limit.
    case tooLong(Duration)
    /// Something ran on another thread, this often.
    case escaped(times: Int)
  }

  /// The run that failed: the same seed fails the same way.
  package var seed: UInt64
  /// Why.
  package var reason: Reason
  /// What happened last.
  package var lastEvents: [Trace.Event]

  /// The seed, the reason and what happened last.
  package var description: String {
    let events = lastEvents.map { "\n  \($0)" }.joined()
    return "seed \(seed): \(reason)\(events.isEmpty ? "" : "; what happened last:\(events)")"
  }
}

/// Where the root task leaves its result for the thread that drives it.
private final class ResultBox<Value: Sendable>: Sendable {
  private let box = Mutex<Result<Value, any Error>?>(nil)

  var value: Result<Value, any Error>? {
    box.withLock { $0 }
  }

  func set(_ result: Result<Value, any Error>) {
    box.withLock { $0 = result }
  }
}
