internal import RPC
internal import Schema
internal import StoreProtocol
internal import Synchronization

// Servers that stop while calls are made.

extension Behaviour {
  static let drains: [Behaviour] = [
    Behaviour("a server that drains finishes its calls and takes no more") { transport, address in
      let signals = Signals()
      try await withServer(transport, address, signals: signals) { server, channel in
        let kinds = Kinds(channel: channel)
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            let answer = try await kinds.call("hold")
            try expect(answer.text == "held", answer.text)
          }
          await signals.wait("holds")
          server.shutdown(grace: .seconds(30))
          try await expectError(.unavailable) {
            while true { _ = try await kinds.call("late") }
          }
          signals.send("release")
          try await group.waitForAll()
        }
      }
    },
    Behaviour("a drain ends what lasts longer than its grace") { transport, address in
      let signals = Signals()
      try await withServer(transport, address, signals: signals) { server, channel in
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            try await expectError(.unavailable) {
              _ = try await Kinds(channel: channel).call("wait")
            }
          }
          await signals.wait("waits")
          server.shutdown(grace: .milliseconds(20))
          await signals.wait("cancelled")
          try await group.waitForAll()
        }
      }
    },
    Behaviour("a client leaves a draining connection before its calls are over") {
      transport, address in
      let signals = Signals()
      try await withServer(transport, address, signals: signals) { server, channel in
        let kinds = Kinds(channel: channel)
        try await kinds.channel.stream(
          Kinds.bidirectional, options: CallOptions()
        ) { requests, responses in
          try await requests.write(EchoRequest(payload: [1]))
          _ = try await responses.next()
          server.shutdown(grace: .seconds(30))
          // Nobody takes new calls; the old one goes on for as long as it likes.
          try await expectError(.unavailable) {
            while true { _ = try await kinds.call("late") }
          }
          for number in 2..<10 {
            try await requests.write(EchoRequest(payload: [UInt8(number)]))
            let response = try await responses.next()
            try expect(response?.payload == [UInt8(number)], "the open call was cut off")
          }
          try await requests.finish()
          let end = try await responses.next()
          try expect(end == nil, "more than was asked for")
        }
      }
    },
    Behaviour("no call fails through a drain and a restart under load") { transport, address in
      let fixed = try await freeAddress(transport, address)
      let time = SystemTimeSource()
      var configuration = ConnectionConfiguration()
      configuration.firstBackoff = .milliseconds(1)
      configuration.longestBackoff = .milliseconds(5)
      let progress = Progress()
      try await withChannel(
        to: fixed, transport: transport, time: time, random: SystemRandomSource(),
        configuration: configuration
      ) { channel in
        let kinds = Kinds(channel: channel)
        try await withThrowingTaskGroup(of: Void.self) { group in
          for number in 0..<16 {
            group.addTask {
              // When one fails, nobody waits for the others' progress.
              defer { progress.stop() }
              try await load(kinds, number, progress)
            }
          }
          for round in 0..<4 {
            let server = RPCServer(
              router: Kinds.router(Signals()), transport: transport, address: fixed, time: time)
            try await withThrowingTaskGroup(of: Void.self) { serving in
              serving.addTask { try await server.run() }
              // The last server ends after the load, so that whatever waits is answered.
              await progress.wait(for: 400 * (round + 1))
              if round == 3 {
                progress.stop()
                try await group.waitForAll()
              }
              server.shutdown(grace: .seconds(30))
              try await serving.waitForAll()
            }
          }
        }
      }
    },
  ]

  /// Calls of two kinds, one after another, until `progress` says to stop.
  private static func load(_ kinds: Kinds, _ number: Int, _ progress: Progress) async throws {
    let options = CallOptions(waitsForReady: true)
    while !progress.isStopped {
      if number % 4 == 0 {
        let count = try await kinds.channel.serverStreaming(
          Kinds.serverStreaming, EchoRequest(payload: Array("3".utf8)), options: options
        ) { responses in
          var count = 0
          while try await responses.next() != nil { count += 1 }
          return count
        }
        try expect(count == 3, "\(count) of 3 responses")
      } else {
        let answer = try await kinds.call("\(number)", options: options)
        try expect(answer.text == "\(number)", answer.text)
      }
      progress.advance()
    }
  }
}

/// Counts what was done.
private final class Progress: Sendable {
  private struct State {
    var count = 0
    var isStopped = false
    var waiter: (count: Int, continuation: CheckedContinuation<Void, Never>)?
  }

  private let state = Mutex(State())

  var isStopped: Bool { state.withLock(\.isStopped) }

  func stop() {
    let continuation = state.withLock { state in
      state.isStopped = true
      defer { state.waiter = nil }
      return state.waiter?.continuation
    }
    continuation?.resume()
  }

  func advance() {
    let continuation = state.withLock { state -> CheckedContinuation<Void, Never>? in
      state.count += 1
      guard let waiter = state.waiter, waiter.count <= state.count else { return nil }
      state.waiter = nil
      return waiter.continuation
    }
    continuation?.resume()
  }

  /// Returns once that much was done or it was stopped; one waits at a time.
  func wait(for count: Int) async {
    await withCheckedContinuation { continuation in
      let isThere = state.withLock { state in
        if state.isStopped || state.count >= count { return true }
        state.waiter = (count, continuation)
        return false
      }
      if isThere { continuation.resume() }
    }
  }
}
