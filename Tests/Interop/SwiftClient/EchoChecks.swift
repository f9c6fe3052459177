import RPC
import Schema
import StoreProtocol

/// Calls of Echo: bodies of all sizes, both ways at once, metadata.
enum EchoChecks {
  static let all: [Check] = [
    Check(name: "swift client: the example of FRAMING.md") { node in
      try await echo(node, payload: "hi", [Array("abc".utf8)])
    },
    Check(name: "swift client: bodies of all sizes") { node in
      for size in [0, 1, 127, 128, 16_384, 65_535, 262_144, 600_000, 1_048_576, 5_000_000] {
        try await echo(node, payload: "size", [bytes(size)])
      }
    },
    Check(name: "swift client: a body beyond every window") { node in
      try await echo(node, payload: "large", [bytes(60_000_000)])
    },
    Check(name: "swift client: answers in tiny pieces") { node in
      try await echo(node, payload: "tiny", [bytes(10_000), [], bytes(1)])
    },
    Check(name: "swift client: back and forth on one call") { node in
      try await echo(node, payload: "again", (0..<200).map { bytes($0 * 37) })
    },
    Check(name: "swift client: no message at all") { node in
      try await echo(node, payload: "", [])
    },
    Check(name: "swift client: 200 calls at once") { node in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<200 {
          group.addTask { try await echo(node, payload: "call \(number)", [bytes(number * 100)]) }
        }
        try await group.waitForAll()
      }
    },
    Check(name: "swift client: a deadline that is far away") { node in
      try await node.echo(options: CallOptions(timeout: .seconds(60))) { requests, responses in
        try await requests.write(EchoRequest(payload: [1]))
        try await requests.finish()
        try expect(try await responses.next()?.payload == [1], "another echo came")
        try expect(try await responses.next() == nil, "more than one echo came")
      }
    },
  ]

  /// Against a server whose Echo sends back its metadata, too, as the one in C does.
  static let mirroring: [Check] = [
    Check(name: "swift client: metadata both ways", run: metadata)
  ]

  /// Pseudo-random bytes that follow from how many they are.
  static func bytes(_ count: Int) -> [UInt8] {
    var state = UInt32(truncatingIfNeeded: count) &* 2_654_435_761 &+ 1
    return (0..<count).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return UInt8(truncatingIfNeeded: state >> 24)
    }
  }

  /// Sends each of `bodies`, waits for its echo and compares it.
  static func echo(_ node: NodeClient, payload: String, _ bodies: [[UInt8]]) async throws {
    try await node.echo { requests, responses in
      for body in bodies {
        let request = EchoRequest(
          payload: Array(payload.utf8), data: Body(body))
        try await requests.write(request)
        guard let response = try await responses.next() else {
          throw CheckFailure(description: "no echo of \(body.count) bytes came")
        }
        try expect(response.payload == Array(payload.utf8), "the payload differs")
        try expect(response.data.bytes == body, "the echo of \(body.count) bytes differs")
      }
      try await requests.finish()
      try expect(try await responses.next() == nil, "more echoes than messages came")
    }
  }

  @Sendable private static func metadata(_ node: NodeClient) async throws {
    var metadata: Metadata = ["trace-id": "abc", "other.key": "a value, with: punctuation"]
    metadata.entries.append(Metadata.Entry(key: "token-bin", value: [0, 255, 128]))
    metadata.append("trace-id", "again")
    let sent = metadata
    try await node.echo(options: CallOptions(metadata: sent)) { requests, responses in
      try await requests.write(EchoRequest(payload: [7]))
      try await requests.finish()
      while try await responses.next() != nil {}
      try expect(responses.metadata == sent, "before: \(responses.metadata.entries)")
      try expect(
        responses.trailingMetadata == sent, "after: \(responses.trailingMetadata.entries)")
    }
  }
}
