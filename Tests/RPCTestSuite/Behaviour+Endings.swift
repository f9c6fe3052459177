internal import RPC
internal import Schema
internal import StoreProtocol

// Deadlines and cancellation.

extension Behaviour {
  static let endings: [Behaviour] = [
    Behaviour("a call ends at its deadline, on both sides") { transport, address in
      let signals = Signals()
      try await withServer(transport, address, signals: signals) { _, channel in
        // On a busy machine the handler may not even begin within a short time.
        for milliseconds in [20, 100, 500, 2_500, 12_500] where !signals.has("waits") {
          do {
            _ = try await Kinds(channel: channel).call(
              "wait", options: CallOptions(timeout: .milliseconds(milliseconds)))
            try expect(signals.has("cancelled"), "a call that waits came back")
          } catch let error as RPCError where error.code == .deadlineExceeded {}
        }
        await signals.wait("cancelled")
      }
    },
    Behaviour("a deadline without time left isn't sent") { kinds in
      try await expectError(.deadlineExceeded) {
        _ = try await kinds.call("x", options: CallOptions(timeout: .zero))
      }
    },
    Behaviour("a handler knows what is left of the deadline") { kinds in
      let with = try await kinds.call("time", options: CallOptions(timeout: .seconds(60)))
      try expect(with.text == "true", with.text)
      let without = try await kinds.call("time")
      try expect(without.text == "none", without.text)
    },
    Behaviour("cancelling the caller's task cancels the handler's") { transport, address in
      let signals = Signals()
      try await withServer(transport, address, signals: signals) { _, channel in
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            try await expectError(.cancelled) {
              _ = try await Kinds(channel: channel).call("wait")
            }
          }
          await signals.wait("waits")
          group.cancelAll()
          await signals.wait("cancelled")
          try await group.waitForAll()
        }
        _ = try await Kinds(channel: channel).call("still there")
      }
    },
    Behaviour("leaving a stream early cancels the call") { transport, address in
      let signals = Signals()
      try await withServer(transport, address, signals: signals) { _, channel in
        try await channel.stream(
          Kinds.serverStreaming, options: CallOptions()
        ) { requests, responses in
          try await requests.write(
            EchoRequest(payload: Array("flood".utf8), data: Body.pattern(1 << 20)))
          try await requests.finish()
          _ = try await responses.next()
        }
        await signals.wait("flood over")
        _ = try await Kinds(channel: channel).call("still there")
      }
    },
    Behaviour("an answer before the last request is heard") { kinds in
      let answer = try await kinds.channel.clientStreaming(
        Kinds.clientStreaming, options: CallOptions()
      ) { requests in
        try await requests.write(EchoRequest(payload: Array("enough".utf8)))
        while true { try await requests.write(EchoRequest(data: Body.pattern(1 << 20))) }
      }
      try expect(answer.payload == Array("1 6".utf8), "another answer")
    },
  ]
}
