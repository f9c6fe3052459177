internal import RPC
internal import Schema
internal import StoreProtocol

// Calls that are made more than once.

extension Behaviour {
  static let attempts: [Behaviour] = [
    Behaviour("an idempotent call is tried again while its failure may pass") { kinds in
      let options = CallOptions(attempts: .retry(soon))
      let answer = try await kinds.call("flaky", options: options, method: Kinds.idempotent)
      try expect(answer.text == "third", answer.text)
      // What can't pass isn't tried again.
      let error = try await expectError(.notFound) {
        _ = try await kinds.call("error", options: options, method: Kinds.idempotent)
      }
      try expect(error.details.count == 3, "another error")
    },
    Behaviour("a call is made once unless it is idempotent and a policy says more") { kinds in
      for (method, policy) in [
        (Kinds.unary, AttemptPolicy.retry(soon)), (Kinds.unary, .hedge(.init(delay: .zero))),
        (Kinds.idempotent, .once),
      ] {
        let error = try await expectError(.unavailable) {
          _ = try await kinds.call("flaky", options: CallOptions(attempts: policy), method: method)
        }
        try expect(error.message == "0", error.message)
      }
    },
    Behaviour("a channel's policy holds for calls without one", configuration: retrying) { kinds in
      let answer = try await kinds.call("flaky", method: Kinds.idempotent)
      try expect(answer.text == "third", answer.text)
      try await expectError(.unavailable) {
        _ = try await kinds.call(
          "flaky", options: CallOptions(attempts: .once), method: Kinds.idempotent)
      }
    },
    Behaviour("a call that is too large for this side's limits isn't tried again") { kinds in
      var policy = AttemptPolicy.Retry()
      policy.firstBackoff = .seconds(1 << 40)
      policy.longestBackoff = .seconds(1 << 40)
      var options = CallOptions(attempts: .retry(policy))
      try await expectError(.resourceExhausted) { [options] in
        let large = EchoRequest(payload: [UInt8](repeating: 1, count: 5 << 20))
        _ = try await kinds.channel.unary(Kinds.idempotent, large, options: options)
      }
      options.maxMessageBytes = 10
      try await expectError(.resourceExhausted) { [options] in
        let body = Body([UInt8](repeating: 1, count: 100))
        _ = try await kinds.call("x", body, options: options, method: Kinds.idempotent)
      }
      options.metadata.append("key", String(repeating: "a", count: 100_000))
      try await expectError(.resourceExhausted) { [options] in
        _ = try await kinds.call("x", options: options, method: Kinds.idempotent)
      }
    },
    Behaviour("the server says when to try again, and whether") { kinds in
      var policy = AttemptPolicy.Retry()
      policy.firstBackoff = .seconds(3_600)
      policy.longestBackoff = .seconds(3_600)
      let options = CallOptions(attempts: .retry(policy))
      let answer = try await kinds.call("push", options: options, method: Kinds.idempotent)
      try expect(answer.text == "third", answer.text)
      for policy in [AttemptPolicy.retry(soon), .hedge(.init(delay: .seconds(3_600)))] {
        let error = try await expectError(.unavailable) {
          let options = CallOptions(attempts: policy)
          _ = try await kinds.call("no more", options: options, method: Kinds.idempotent)
        }
        try expect(error.message == "0", error.message)
      }
    },
    Behaviour("a wait that would outlast the deadline isn't begun") { kinds in
      var policy = AttemptPolicy.Retry()
      policy.firstBackoff = .seconds(1 << 40)
      policy.longestBackoff = .seconds(1 << 40)
      let options = CallOptions(timeout: .seconds(3_600), attempts: .retry(policy))
      let error = try await expectError(.unavailable) {
        _ = try await kinds.call("flaky", options: options, method: Kinds.idempotent)
      }
      try expect(error.message == "0", error.message)
    },
    Behaviour("a hedged call doesn't wait beyond its deadline for a server that is busy") { kinds in
      // The server wants to be left alone for a minute.
      let options = CallOptions(
        timeout: .seconds(30), attempts: .hedge(.init(delay: .seconds(3_600))))
      let error = try await expectError(.unavailable) {
        _ = try await kinds.call("busy", options: options, method: Kinds.idempotent)
      }
      try expect(error.message == "0", error.message)
    },
    Behaviour("failures use up the budget for further attempts", configuration: poor) { kinds in
      // Four tokens: the first failure leaves three, which is more than half, the second one two.
      for attempts in ["1", "0", "0", "again", "1"] {
        if attempts == "again" {
          for _ in 0..<6 { _ = try await kinds.call("fine", method: Kinds.idempotent) }
          continue
        }
        let error = try await expectError(.unavailable) {
          _ = try await kinds.call("flaky", method: Kinds.idempotent)
        }
        try expect(error.message == attempts, "\(error.message) instead of \(attempts)")
      }
    },
    Behaviour("a hedged call takes the first answer and cancels the other attempt") {
      transport, address in
      let signals = Signals()
      try await withServer(transport, address, signals: signals) { _, channel in
        let options = CallOptions(attempts: .hedge(.init(delay: .milliseconds(1))))
        let answer = try await Kinds(channel: channel).call(
          "hang", options: options, method: Kinds.idempotent)
        try expect(answer.text == "second", answer.text)
        await signals.wait("first cancelled")
      }
    },
    Behaviour("a hedged call's failure calls for the next attempt at once") { kinds in
      var policy = AttemptPolicy.Hedge(delay: .seconds(3_600))
      policy.maxAttempts = 3
      let options = CallOptions(attempts: .hedge(policy))
      let answer = try await kinds.call("flaky", options: options, method: Kinds.idempotent)
      try expect(answer.text == "third", answer.text)
      let pushed = try await kinds.call("push", options: options, method: Kinds.idempotent)
      try expect(pushed.text == "third", pushed.text)
    },
  ]

  private static var soon: AttemptPolicy.Retry {
    var policy = AttemptPolicy.Retry()
    policy.firstBackoff = .milliseconds(1)
    return policy
  }

  private static var retrying: ConnectionConfiguration {
    var configuration = ConnectionConfiguration()
    configuration.attempts = .retry(soon)
    return configuration
  }

  private static var poor: ConnectionConfiguration {
    var configuration = retrying
    configuration.retryBudget.maxTokens = 4
    configuration.retryBudget.ratio = 1
    return configuration
  }
}
