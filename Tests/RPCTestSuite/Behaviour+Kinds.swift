internal import RPC
internal import Schema
internal import StoreProtocol

// The four kinds of calls, and what travels beside their messages.

extension Behaviour {
  static let kinds: [Behaviour] = [
    Behaviour("a unary call gives its answer") { kinds in
      let answer = try await kinds.call("hello")
      try expect(answer.text == "hello", answer.text)
      let empty = try await kinds.call("")
      try expect(empty.text.isEmpty, empty.text)
    },
    Behaviour("a hundred unary calls at once give their answers") { kinds in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<100 {
          group.addTask {
            let answer = try await kinds.call("\(number)")
            try expect(answer.text == "\(number)", "\(answer.text) for \(number)")
          }
        }
        try await group.waitForAll()
      }
    },
    Behaviour("more calls than a connection may have wait for each other", configuration: few) {
      kinds in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<50 {
          group.addTask { _ = try await kinds.call("\(number)") }
        }
        try await group.waitForAll()
      }
    },
    Behaviour("many requests give one response") { kinds in
      let answer = try await kinds.channel.stream(
        Kinds.clientStreaming, options: CallOptions()
      ) { requests, responses in
        for number in 0..<10 {
          try await requests.write(EchoRequest(payload: Array("\(number)".utf8)))
        }
        try await requests.finish()
        return try await responses.only()
      }
      try expect(answer.payload == Array("10 10".utf8), "\(answer)")
    },
    Behaviour("one request gives many responses, with metadata around them") { kinds in
      try await kinds.channel.stream(
        Kinds.serverStreaming, options: CallOptions()
      ) { requests, responses in
        try await requests.write(EchoRequest(payload: Array("5".utf8)))
        try await requests.finish()
        var seen: [String] = []
        for try await response in responses {
          seen.append(String(decoding: response.payload, as: UTF8.self))
        }
        try expect(seen == ["0", "1", "2", "3", "4"], "\(seen)")
        try expect(responses.metadata["kind"] == "stream", "\(responses.metadata)")
        try expect(responses.trailingMetadata["done"] == "yes", "\(responses.trailingMetadata)")
      }
    },
    Behaviour("messages go back and forth in one call") { kinds in
      try await kinds.channel.stream(
        Kinds.bidirectional, options: CallOptions()
      ) { requests, responses in
        for number in 0..<20 {
          try await requests.write(EchoRequest(payload: Array("\(number)".utf8)))
          let response = try await responses.next()
          try expect(
            response?.payload == Array("\(number)".utf8), "\(String(describing: response))")
        }
        try await requests.finish()
        let last = try await responses.next()
        try expect(last == nil, "a response after the last")
      }
    },
    Behaviour("a server may end a call before it has all requests") { kinds in
      try await kinds.channel.stream(
        Kinds.bidirectional, options: CallOptions()
      ) { requests, responses in
        try await requests.write(EchoRequest(payload: Array("stop".utf8)))
        let response = try await responses.next()
        try expect(response == nil, "a response to stop")
      }
    },
    Behaviour("metadata travels both ways") { kinds in
      let answer = try await kinds.call(
        "metadata", options: CallOptions(metadata: ["ask": "me", "other": "x"]))
      try expect(answer.metadata["got"] == "me", "\(answer.metadata)")
      let raw = answer.trailingMetadata.entries.first
      try expect(raw?.value == [0, 255, 10], "\(answer.trailingMetadata)")
    },
  ]

  private static var few: ConnectionConfiguration {
    var configuration = ConnectionConfiguration()
    configuration.maxCalls = 3
    return configuration
  }
}
