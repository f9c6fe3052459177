internal import RPC
internal import Schema
internal import StoreProtocol

// Bodies, large messages and flow control.

extension Behaviour {
  static let bodies: [Behaviour] = [
    Behaviour("bodies of every size come back as they went") { kinds in
      for count in [1, 63, 4_096, 4_097, 65_536, 262_143, 262_145, 1 << 20, 5_000_000] {
        let body = Body.pattern(count)
        let answer = try await kinds.call("body", body)
        try expect(answer.message.data.isSame(as: body), "a body of \(count) bytes changed")
        try expect(answer.text == "body", answer.text)
      }
    },
    Behaviour("a body larger than a call's window gets through") { kinds in
      let body = Body.pattern(12 << 20)
      let answer = try await kinds.call("large", body)
      try expect(answer.message.data.isSame(as: body), "a body of 12 MiB changed")
    },
    Behaviour("a message larger than a frame gets through") { kinds in
      let payload = Body.pattern(3_000_000).bytes
      let answer = try await kinds.channel.unary(
        Kinds.unary, EchoRequest(payload: payload, data: Body.pattern(1_000_000)),
        options: CallOptions())
      try expect(answer.message.payload == payload, "a message of 3 MB changed")
      try expect(answer.message.data.isSame(as: Body.pattern(1_000_000)), "its body changed")
    },
    Behaviour("a stream of bodies comes back in order") { kinds in
      let body = Body.pattern(300_000)
      try await kinds.channel.stream(
        Kinds.bidirectional, options: CallOptions()
      ) { requests, responses in
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            for number in 0..<100 {
              try await requests.write(
                EchoRequest(payload: Array("\(number)".utf8), data: body))
            }
            try await requests.finish()
          }
          var count = 0
          while let response = try await responses.next() {
            try expect(response.payload == Array("\(count)".utf8), "\(count) out of order")
            try expect(response.data.isSame(as: body), "body \(count) changed")
            count += 1
          }
          try expect(count == 100, "\(count) of 100")
          try await group.waitForAll()
        }
      }
    },
  ]

  static let flow: [Behaviour] = [
    Behaviour("a reader that doesn't read stops its writer and nobody else") {
      transport, address in
      let signals = Signals()
      try await withServer(transport, address, signals: signals) { _, channel in
        try await channel.stream(
          Kinds.serverStreaming, options: CallOptions()
        ) { requests, responses in
          try await requests.write(
            EchoRequest(payload: Array("flood".utf8), data: Body.pattern(500_000)))
          try await requests.finish()
          await signals.wait("floods")
          let kinds = Kinds(channel: channel)
          for _ in 0..<20 { _ = try await kinds.call("beside", Body.pattern(700_000)) }
          try expect(!signals.has("flooded"), "the writer wasn't stopped")
          for _ in 0..<40 {
            let response = try await responses.next()
            try expect(response?.data.count == 500_000, "the flood dried up")
          }
        }
        await signals.wait("flood over")
      }
    },
    Behaviour("small windows carry large streams", configuration: narrow) { kinds in
      let total = 3_000_000
      let answer = try await kinds.channel.stream(
        Kinds.clientStreaming, options: CallOptions()
      ) { requests, responses in
        for _ in 0..<10 {
          try await requests.write(EchoRequest(data: Body.pattern(total / 10)))
        }
        try await requests.finish()
        return try await responses.only()
      }
      try expect(answer.payload == Array("10 \(total)".utf8), "\(answer.payload)")
      let body = Body.pattern(total)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<4 {
          group.addTask {
            let answer = try await kinds.call("x", body)
            try expect(answer.message.data.isSame(as: body), "a body changed")
          }
        }
        try await group.waitForAll()
      }
    },
  ]

  private static var narrow: ConnectionConfiguration {
    var configuration = ConnectionConfiguration()
    configuration.callWindowBytes = 65_536
    configuration.connectionWindowBytes = 65_536
    configuration.maxFramePayloadBytes = 16_384
    return configuration
  }
}
