import RPC
import Simulation
import Testing

@Suite("Virtual time")
struct VirtualTimeTests {
  @Test("sleeps end in the order of their deadlines, and time leaps between them")
  func order() throws {
    let outcome = try Simulation.run(seed: 1) { world in
      await withTaskGroup(of: UInt64.self) { group in
        for seconds: UInt64 in [30, 10, 20] {
          group.addTask {
            try? await world.time.sleep(until: Instant(nanoseconds: seconds * 1_000_000_000))
            return world.time.now.nanoseconds / 1_000_000_000
          }
        }
        var ended: [UInt64] = []
        for await seconds in group { ended.append(seconds) }
        return ended
      }
    }
    #expect(outcome.value == [10, 20, 30])
    #expect(outcome.duration == Instant(nanoseconds: 30_000_000_000))
  }

  @Test("a deadline that has passed does not wait")
  func past() throws {
    let outcome = try Simulation.run(seed: 1) { world in
      try await world.time.sleep(until: Instant(nanoseconds: 0))
    }
    #expect(outcome.duration == Instant(nanoseconds: 0))
  }

  @Test("cancellation ends a sleep at once, also one that has not begun", arguments: 0..<8)
  func cancellation(seed: UInt64) throws {
    let outcome = try Simulation.run(seed: seed) { world in
      await withTaskGroup(of: Bool.self) { group in
        group.addTask {
          do {
            try await world.time.sleep(until: Instant(nanoseconds: 1_000_000_000))
            return false
          } catch {
            return error is CancellationError
          }
        }
        group.cancelAll()
        let cancelled = await group.next()
        return cancelled == true && world.time.waiting == 0
      }
    }
    #expect(outcome.value)
    #expect(outcome.duration == Instant(nanoseconds: 0))
  }

  @Test("the wall clock runs along")
  func wallClock() throws {
    let outcome = try Simulation.run(seed: 1) { world in
      try await world.time.sleep(until: Instant(nanoseconds: 5_000_000))
      return world.time.wallClockMicroseconds
    }
    #expect(outcome.value == VirtualTime.epochMicroseconds + 5_000)
  }
}
