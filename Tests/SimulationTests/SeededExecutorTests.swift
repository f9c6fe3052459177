import RPC
import SeededExecution
import Simulation
import Testing

@Suite("The seeded executor")
struct SeededExecutorTests {
  /// An actor like any other: it follows its caller's executor.
  private actor Counter {
    private let trace: Trace
    private var value = 0

    init(trace: Trace) {
      self.trace = trace
    }

    func add(_ name: String) -> Int {
      value += 1
      trace.note("counter", "\(name) makes it \(value)")
      return value
    }
  }

  /// An actor with an executor of its own.
  private actor Blocking {
    private let serial: SeededSerialExecutor
    private let trace: Trace

    init(serial: SeededSerialExecutor, trace: Trace) {
      self.serial = serial
      self.trace = trace
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
      serial.asUnownedSerialExecutor()
    }

    func work(_ name: String) {
      trace.note("blocking", name)
    }
  }

  /// Uses every kind of concurrency that the house allows, and notes each step.
  private static func everything(_ world: Simulation.World) async throws -> Int {
    let counter = Counter(trace: world.trace)
    let blocking = Blocking(serial: world.executor.serialExecutor, trace: world.trace)
    async let first = counter.add("async let")
    await withTaskGroup(of: Int.self) { group in
      for child in 0..<4 {
        group.addTask {
          world.trace.note("group", "child \(child) starts")
          await blocking.work("child \(child)")
          try? await world.time.sleep(
            until: Instant(nanoseconds: UInt64(child % 2 + 1) * 1_000_000))
          world.trace.note("group", "child \(child) woke")
          return await counter.add("child \(child)")
        }
      }
      for await value in group { world.trace.note("group", "got \(value)") }
    }
    await withDiscardingTaskGroup { group in
      for child in 0..<3 {
        group.addTask { _ = await counter.add("discarding \(child)") }
      }
    }
    await withTaskExecutorPreference(world.executor) {
      world.trace.note("preference", "inside")
      _ = await counter.add("preference")
    }
    let (stream, source) = AsyncStream.makeStream(of: Int.self)
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        for number in 0..<3 { source.yield(number) }
        source.finish()
      }
      for await number in stream { world.trace.note("stream", "\(number)") }
    }
    await withCheckedContinuation { $0.resume() }
    await Task.yield()
    world.trace.note("root", "after a yield")
    world.trace.note("root", "after a continuation")
    return await first
  }

  @Test("actors, groups, continuations and streams all stay on the calling thread")
  func nothingEscapes() throws {
    // `run` throws when a job came from, or an event was noted on, another thread.
    let outcome = try Simulation.run(seed: 1) { try await Self.everything($0) }
    #expect(outcome.events.count > 20)
    #expect(outcome.duration.nanoseconds == 2_000_000)
  }

  @Test("the same seed gives the same history, another seed another one")
  func seedsDecide() throws {
    var histories: Set<UInt64> = []
    for seed in UInt64(0)..<20 {
      let first = try Simulation.run(seed: seed) { try await Self.everything($0) }
      let second = try Simulation.run(seed: seed) { try await Self.everything($0) }
      #expect(first.events == second.events)
      #expect(first.digest == second.digest)
      histories.insert(first.digest)
    }
    #expect(histories.count == 20)
  }

  @Test("what can never go on is reported as a deadlock")
  func deadlock() {
    let failure = #expect(throws: SimulationFailure.self) {
      try Simulation.run(seed: 3) { world in
        world.trace.note("root", "waits")
        let (stream, source) = AsyncStream.makeStream(of: Void.self)
        for await _ in stream {}
        withExtendedLifetime(source) {}
      }
    }
    guard case .deadlock = failure?.reason else {
      Issue.record("\(String(describing: failure))")
      return
    }
    #expect(failure?.lastEvents.map(\.text) == ["waits"])
  }

  @Test("a program that never ends is stopped by the limits")
  func endless() {
    var limits = Simulation.Limits()
    limits.maxTime = .seconds(10)
    let failure = #expect(throws: SimulationFailure.self) {
      try Simulation.run(seed: 4, limits: limits) { world in
        while true {
          let next = Instant(nanoseconds: world.time.now.nanoseconds + 1_000_000_000)
          try await world.time.sleep(until: next)
        }
      }
    }
    guard case .tooLong = failure?.reason else {
      Issue.record("\(String(describing: failure))")
      return
    }
  }

  @Test("an error of the program is reported with the seed")
  func thrown() {
    let failure = #expect(throws: SimulationFailure.self) {
      try Simulation.run(seed: 5) { _ in throw CancellationError() }
    }
    #expect(failure?.seed == 5)
    guard case .thrown(let error) = failure?.reason else {
      Issue.record("\(String(describing: failure))")
      return
    }
    #expect(error is CancellationError)
  }

  @Test("work that leaves for another thread makes the run fail")
  func escape() {
    let failure = #expect(throws: SimulationFailure.self) {
      try Simulation.run(seed: 6) { world in
        await withTaskGroup(of: Void.self) { group in
          group.addTask(executorPreference: globalConcurrentExecutor) {
            world.trace.note("stray", "runs elsewhere")
          }
        }
      }
    }
    switch failure?.reason {
    case .escaped, .deadlock: break
    default: Issue.record("\(String(describing: failure))")
    }
  }
}
